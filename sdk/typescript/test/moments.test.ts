/** Moments that the real service has too rarely to be tested with it. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { Client, type Event, type Functions, Worker } from "starflow";
import { EventType } from "starflow/v1/event";
import { RunState } from "starflow/v1/run";
import {
  CompletionStatus,
  TaskAction,
  type TaskResult,
  TaskSchema,
  type WorkStreamRequest,
  type WorkStreamResponseSchema,
} from "starflow/v1/worker_service";
import { type Fakes, serve } from "./support/fake.js";
import { until } from "./support/server.js";
import { Journal } from "./support/stage.js";

type Said = MessageInitShape<typeof WorkStreamResponseSchema>;

const INTERVAL = { nanos: 300_000_000 };
const task = (taskToken: string) => {
  const kind = { case: "json", value: `"${taskToken}"` } as const;
  return create(TaskSchema, { taskToken, function: "a.echo", attempt: 1, input: { kind } });
};
const echo: Functions = { "a.echo": (req: unknown) => req };

function info(...capabilities: string[]): NonNullable<Fakes["workflows"]> {
  return { getServerInfo: () => ({ capabilities }) };
}

/** A worker of a service whose stream answers each message by what `answer` says. */
async function streaming(
  t: TestContext,
  answer: (request: WorkStreamRequest, seen: WorkStreamRequest[]) => Said[],
  functions = echo,
) {
  const seen: WorkStreamRequest[] = [];
  const logger = new Journal();
  const address = await serve(t, {
    workflows: info("worker-stream"),
    workers: {
      async *workStream(requests) {
        for await (const request of requests) {
          seen.push(request);
          if (request.hello) yield { welcome: { heartbeatInterval: INTERVAL } };
          yield* answer(request, seen);
        }
      },
    },
  });
  const worker = begun(t, new Client({ address }), { functions, logger });
  await worker.start();
  return { worker, seen, logger };
}

function begun(
  t: TestContext,
  client: Client,
  options: ConstructorParameters<typeof Worker>[1],
) {
  const worker = new Worker(client, { logger: new Journal(), ...options });
  t.after(async () => {
    void worker.stop();
    await worker.stop();
    client.close();
  });
  return worker;
}

function acknowledged({ sequence }: WorkStreamRequest): Said[] {
  // The service says something in every interval, if only this.
  return [{ acknowledgements: sequence > 0 ? [{ sequence }] : [] }];
}

function outcomes(seen: readonly { readonly results: TaskResult[] }[]) {
  return seen.flatMap(({ results }) =>
    results.map(({ taskToken, outcome }) => {
      const code = outcome.case === "failure" ? outcome.value.code : "";
      return `${taskToken} ${outcome.case} ${code}`.trimEnd();
    }),
  );
}

test("a stream of events that ends in peace is gone on with at its next version", async (t) => {
  const asked: number[] = [];
  const event = (version: number) => ({ version, type: EventType.WAKE });
  const address = await serve(t, {
    workflows: {
      async *getEvents({ fromVersion }) {
        asked.push(fromVersion);
        if (fromVersion === 1) yield { events: [event(1), event(2)], nextVersion: 3 };
        else yield { events: [event(3)], nextVersion: 4 };
      },
      getRun: () => ({
        run: { runId: "r", state: RunState.SUCCEEDED, version: 3 },
      }),
    },
  });
  const client = new Client({ address });
  t.after(() => client.close());
  const found: Event[] = [];
  for await (const each of client.events("r", { follow: true })) found.push(each);

  assert.deepEqual(
    found.map(({ version }) => version),
    [1, 2, 3],
  );
  assert.deepEqual(asked, [1, 3]);
});

test("what this release does not know does no harm", async (t) => {
  const address = await serve(t, {
    workflows: {
      async *getEvents() {
        yield { events: [{ version: 1, type: 99 as EventType }], nextVersion: 2 };
      },
      getRun: () => ({ run: { runId: "r", state: 77 as RunState, waits: [{}] } }),
    },
  });
  const client = new Client({ address });
  t.after(() => client.close());
  const run = client.run("r");

  for await (const event of run.events()) assert.equal(event.type, "UNKNOWN_99");
  const { state, waits, finished } = await run.get();
  assert.deepEqual([state, waits, finished], ["UNKNOWN", [], false]);
});

test("a request may take as long as it waits, and longer", async (t) => {
  const timeouts: number[] = [];
  const address = await serve(t, {
    workflows: {
      getRun: (request, context) => {
        timeouts.push((context.timeoutMs() ?? 0) - Number(request.wait?.seconds) * 1_000);
        return { run: { runId: "r", state: RunState.SUCCEEDED } };
      },
    },
  });
  const client = new Client({ address });
  t.after(() => client.close());
  await client.wait("r");
  await client.wait("r", { timeoutMs: 100 });

  assert.ok(
    timeouts.every((ms) => ms > 3_000),
    String(timeouts),
  );
});

test("a result that the service cannot use is followed by a failure", async (t) => {
  const { seen, logger } = await streaming(t, (request) => {
    if (request.hello) return [{ tasks: [task("t")] }];
    if (request.results[0]?.outcome.case !== "output") return acknowledged(request);
    const rejection = { code: Code.InvalidArgument, reason: "X", message: "no" };
    const status = CompletionStatus.REJECTED;
    const exceptions = [{ taskToken: "t", status, rejection }];
    return [{ acknowledgements: [{ sequence: request.sequence, exceptions }] }];
  });

  await until(() => outcomes(seen).length === 2, "both are reported");
  assert.deepEqual(outcomes(seen), ["t output", "t failure RESULT_REJECTED"]);
  assert.ok(logger.lines.includes("a result is refused"));
});

test("a result that the service cannot store now is sent again", async (t) => {
  const { worker, seen } = await streaming(t, (request, seen) => {
    if (request.hello) return [{ tasks: [task("t")] }];
    if (outcomes(seen).length !== 1 || request.results.length === 0)
      return acknowledged(request);
    const error = { code: Code.Unavailable, reason: "STORE_UNAVAILABLE", message: "later" };
    return [{ acknowledgements: [{ sequence: request.sequence, error }] }];
  });
  await until(() => outcomes(seen).length === 2, "it is sent again");
  await worker.stop();

  assert.deepEqual(outcomes(seen), ["t output", "t output"]);
});

test("a stream that breaks off is followed by one that says all again", async (t) => {
  const { seen } = await streaming(t, (request, seen) => {
    const first = seen.filter(({ hello }) => hello).length === 1;
    if (request.hello && first) return [{ tasks: [task("t")] }];
    if (first && request.results.length > 0) throw new Error("broken");
    return acknowledged(request);
  });
  await until(() => outcomes(seen).length === 2, "it is sent again");

  const again = seen.findLast(({ hello }) => hello);
  assert.deepEqual(
    again?.tasks.map(({ taskToken }) => taskToken),
    ["t"],
  );
});

test("a task that comes while the worker ends is given back", async (t) => {
  const { worker, seen } = await streaming(t, (request) => {
    const late = request.drain ? [{ tasks: [task("late")] }] : [];
    return [...late, ...acknowledged(request)];
  });
  await worker.stop();

  assert.deepEqual(outcomes(seen), ["late release"]);
});

test("credit is what is free, and comes back with what ends", async (t) => {
  const { seen } = await streaming(t, (request) => {
    const first = request.hello ? [{ tasks: ["a", "b", "c"].map(task) }] : [];
    return [...first, ...acknowledged(request)];
  });
  await until(() => outcomes(seen).length === 3, "all are executed");

  const given = () => seen.reduce((sum, { credit }) => sum + credit, 0);
  await until(() => given() >= 67, "three more");
  assert.equal(given(), 64 + 3);
});

test("leases are renewed in every interval, of every task held", async (t) => {
  const never = { "a.echo": () => new Promise(() => undefined) };
  const { seen } = await streaming(
    t,
    (request) => (request.hello ? [{ tasks: [task("a"), task("b")] }] : acknowledged(request)),
    never,
  );
  const beats = () => seen.filter(({ tasks }) => tasks.length === 2);
  await until(() => beats().length >= 2, "two heartbeats");
  assert.equal(seen.filter(({ hello }) => hello).length, 1);

  assert.deepEqual(
    beats()[0]?.tasks.map(({ taskToken }) => taskToken),
    ["a", "b"],
  );
});

test("an abandoned task is neither reported nor held", async (t) => {
  const reasons: unknown[] = [];
  const functions: Functions = {
    "a.echo": async (_req, ctx) => {
      await new Promise((resolve) => ctx.abortSignal.addEventListener("abort", resolve));
      reasons.push(ctx.abortSignal.reason);
    },
  };
  const said = (request: WorkStreamRequest): Said[] => {
    if (request.hello) return [{ tasks: [task("t")] }];
    const action = TaskAction.ABANDON;
    const directives = [{ taskToken: "t", action, reason: "taken over" }];
    return [...acknowledged(request), { directives }];
  };
  const functionsThatBeat: Functions = {
    "a.echo": (req, ctx) => {
      ctx.heartbeat("here");
      return (functions["a.echo"] as (...args: unknown[]) => unknown)(req, ctx);
    },
  };
  const { worker, seen } = await streaming(t, said, functionsThatBeat);
  await until(() => reasons.length, "the function is told");
  await worker.stop();

  assert.match(String(reasons[0]), /^TaskAbandoned: taken over$/);
  assert.deepEqual(outcomes(seen), []);
});

test("where the stream is promised and not there, single requests do", async (t) => {
  const reported: { results: TaskResult[] }[] = [];
  const address = await serve(t, {
    workflows: info("worker-stream"),
    workers: {
      registerFunction: () => ({ heartbeatInterval: INTERVAL }),
      heartbeat: () => ({}),
      poll: () => (reported.length === 0 ? { tasks: [task("t")] } : { drained: true }),
      completeTasks: (request) => {
        reported.push(request);
        const status = CompletionStatus.APPLIED;
        return { completions: request.results.map(({ taskToken }) => ({ taskToken, status })) };
      },
    },
  });
  await begun(t, new Client({ address }), { functions: echo }).run();

  assert.ok(outcomes(reported).includes("t output"));
});

test("what a poll brings that was not waited for is given back", async (t) => {
  const polls: string[] = [];
  const reported: { results: TaskResult[] }[] = [];
  const address = await serve(t, {
    workflows: info(),
    workers: {
      registerFunction: () => ({ heartbeatInterval: INTERVAL }),
      heartbeat: () => ({}),
      poll: async ({ pollId, wait }, { signal }) => {
        polls.push(pollId);
        if (!wait?.seconds) return { tasks: [task("t")] };
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        return {};
      },
      completeTasks: (request) => {
        reported.push(request);
        return {};
      },
    },
  });
  const worker = begun(t, new Client({ address }), { functions: echo });
  await worker.start();
  await until(() => polls.length, "it polls");
  await worker.stop();

  assert.equal(polls.length, 2);
  assert.equal(new Set(polls).size, 1);
  assert.deepEqual(outcomes(reported), ["t release"]);
});
