import { setTimeout as pause } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Retryability } from "./gen/starflow/v1/failure_pb.js";
import type { PayloadSchema } from "./gen/starflow/v1/payload_pb.js";
import type { Task, TaskResultSchema } from "./gen/starflow/v1/worker_service_pb.js";

export type Payload = MessageInitShape<typeof PayloadSchema>;
export type Outcome = NonNullable<MessageInitShape<typeof TaskResultSchema>["outcome"]>;

// One attempt that we hold: `stop` is aborted when it is to be abandoned, and `progress`
// is what the next attempt is to know, if there is one.
export type Held = { task: Task; stop: AbortController; progress?: Payload };

// The functions of `starflow worker-check`; docs/worker-check.md says what they do.
export const functions: Record<string, (held: Held, input: any) => Outcome | Promise<Outcome>> = {
  // The text goes back as it came: for JavaScript 1.0 and 1 are the same.
  "check.echo": ({ task }) => output(text(task.input)),
  "check.fail": (_, { code, message, retryability, details }) => ({
    case: "failure",
    value: {
      code,
      message,
      retryability: Retryability[retryability as keyof typeof Retryability],
      details: payload(stringify(details)),
    },
  }),
  "check.flaky": ({ task }, { succeed_at }) => (task.attempt < succeed_at ? notYet : output(`${task.attempt}`)),
  "check.sleep": async ({ stop }, { seconds }) => {
    await sleep(seconds, stop.signal);
    return output('"slept"');
  },
  "check.wait": () => ({ case: "waitForSignal", value: {} }),
  "check.large": (_, { bytes }) => output(JSON.stringify("x".repeat(bytes))),
  "check.progress": async (held) => {
    if (held.task.attempt > 1) return output(text(held.task.lastProgress));
    held.progress = payload('{"step": 1}'); // travels with the next heartbeat
    await sleep(1, held.stop.signal);
    return notYet;
  },
};

export async function execute(held: Held): Promise<Outcome> {
  try {
    return await functions[held.task.function](held, parse(text(held.task.input)));
  } catch (error) {
    return { case: "failure", value: { code: "DEFECT", message: String(error) } };
  }
}

const notYet: Outcome = {
  case: "failure",
  value: {
    code: "NOT_YET",
    message: "try again",
    retryability: Retryability.RETRYABLE,
    retryDelay: { nanos: 100_000_000 },
  },
};

// Integers beyond 2^53 are read as BigInt, for JSON.parse by itself would round them.
const tokens = /"(?:[^"\\]|\\.)*"|-?\d+(\.\d+)?([eE][-+]?\d+)?/g;

function parse(json: string): any {
  const marked = json.replace(tokens, (token, fraction, exponent) =>
    token[0] === '"' || fraction || exponent || token.length < 16 ? token : `{"$int":"${token}"}`,
  );
  return JSON.parse(marked, (_, value) => (typeof value?.$int === "string" ? BigInt(value.$int) : value));
}

function stringify(value: unknown): string {
  const marked = JSON.stringify(value, (_, each) => (typeof each === "bigint" ? { $int: `${each}` } : each));
  return marked.replace(/{"\$int":"(-?\d+)"}/g, "$1");
}

function payload(json: string): Payload {
  return { kind: { case: "json", value: json } };
}

function output(json: string): Outcome {
  return { case: "output", value: payload(json) };
}

function text(payload: Task["input"]): string {
  return payload?.kind.case === "json" ? payload.kind.value : "null";
}

async function sleep(seconds: number, signal: AbortSignal) {
  await pause(1000 * seconds, null, { signal }).catch(() => undefined);
}
