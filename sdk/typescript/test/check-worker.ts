/** The functions of `starflow worker-check`; docs/worker-check.md says what they do. */
import { setTimeout as pause } from "node:timers/promises";
import {
  Client,
  defineFunction,
  FunctionError,
  PermanentError,
  RetryableError,
} from "starflow";
import { type TaskContext, waitForSignal, Worker } from "starflow";

interface Failing {
  code: string;
  message: string;
  details: unknown;
  retryability: "" | "PERMANENT" | "RETRYABLE";
}

const ERRORS = { "": FunctionError, PERMANENT: PermanentError, RETRYABLE: RetryableError };

function notYet(): never {
  throw new RetryableError("try again", { code: "NOT_YET", delayMs: 100 });
}

const functions = {
  // With exact numbers 1 is an integer and 1.0 is none.
  "check.echo": defineFunction({ numbers: "exact", execute: (req) => req }),
  "check.fail": ({ message, code, details, retryability }: Failing) => {
    throw new ERRORS[retryability](message, { code, details });
  },
  "check.flaky": (req: { succeed_at: number }, ctx: TaskContext) => {
    return ctx.attempt < req.succeed_at ? notYet() : ctx.attempt;
  },
  "check.sleep": async (req: { seconds: number }, ctx: TaskContext) => {
    await pause(1000 * req.seconds, undefined, { signal: ctx.abortSignal });
    return "slept";
  },
  "check.wait": () => waitForSignal(),
  "check.large": (req: { bytes: number }) => "x".repeat(req.bytes),
  "check.progress": async (_: unknown, ctx: TaskContext) => {
    if (ctx.attempt > 1) return ctx.lastProgress;
    ctx.progress({ step: 1 });
    await pause(1000);
    return notYet();
  },
};

const client = new Client();
// Which way it takes is said by the one who checks it.
const stream = process.argv[2] !== "unary";
await new Worker(client, { functions, stream, graceMs: 5_000 }).run();
client.close();
