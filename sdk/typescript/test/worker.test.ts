import assert from "node:assert/strict";
import { after, type TestContext, test } from "node:test";
import * as errors from "starflow";
import {
  Client,
  defineFunction,
  PermanentError,
  RetryableError,
  type Schema,
  TaskAbandoned,
  TaskCancelled,
  type TaskContext,
  waitForSignal,
  Worker,
  type WorkerOptions,
} from "starflow";
import { Server, until } from "./support/server.js";
import { Journal, Stage } from "./support/stage.js";

// One for all tests that leave it alone; each registers functions of its own.
const server = await Server.start({ after });

function calls(name: string): string {
  return `def main(ctx, input):\n    return ${name}(ctx, input)\n`;
}

function fansOut(name: string, count: number): string {
  return `
load("flow", "start", "wait")

def main(ctx, input):
    return wait(ctx, [start(ctx, ${name}, n) for n in range(${count})])
`;
}

/** Resolves when `ctx` is to stop, with the reason. */
function stopped(ctx: TaskContext): Promise<unknown> {
  return new Promise((resolve) => {
    ctx.abortSignal.addEventListener("abort", () => resolve(ctx.abortSignal.reason));
  });
}

for (const stream of [true, false]) {
  const over = stream ? "a stream" : "single requests";
  const stage = (t: TestContext) => new Stage(t, server);

  /** Starts a worker, runs a script that calls the function `name`, and returns its handle. */
  async function played(
    t: TestContext,
    name: string,
    functions: WorkerOptions["functions"],
    input?: unknown,
  ) {
    const each = stage(t);
    await each.work(functions, { stream });
    return each.client.start(calls(name), { input });
  }

  test(`${over}: a function is called, and returns`, async (t) => {
    const seen: TaskContext[] = [];
    const run = await played(
      t,
      "a.hello",
      {
        "a.hello": (req: { name: string }, ctx) => {
          seen.push(ctx);
          return { said: `hello, ${req.name}` };
        },
      },
      { name: "Ada" },
    );

    assert.deepEqual(await run.result(), { said: "hello, Ada" });
    const [ctx] = seen;
    assert.ok(ctx);
    assert.deepEqual(
      [ctx.runId, ctx.function, ctx.attempt, ctx.callVersion],
      [run.id, "a.hello", 1, 2],
    );
    assert.deepEqual([ctx.lastProgress, ctx.lastFailure], [undefined, undefined]);
    assert.ok(ctx.taskId && ctx.signalId && ctx.callTime);
  });

  test(`${over}: a thousand calls, many at a time`, async (t) => {
    let now = 0;
    let most = 0;
    const each = stage(t);
    const functions = {
      "a.square": async (n: number) => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setImmediate(resolve));
        now--;
        return n * n;
      },
    };
    await each.work(functions, { stream, concurrency: 50 });
    const run = await each.client.start<number[]>(fansOut("a.square", 1000));

    assert.deepEqual(
      await run.result(),
      Array.from({ length: 1000 }, (_, n) => n * n),
    );
    assert.ok(most > 1 && most <= 50, `${most} at a time`);
  });

  test(`${over}: values come through as they are`, async (t) => {
    const input = {
      text: "東京 😀 \u0000\u2028",
      big: -(2n ** 90n),
      list: [null, true, 0.1, {}],
    };
    const run = await played(t, "a.echo", { "a.echo": (req: unknown) => req }, input);

    assert.deepStrictEqual(await run.result(), input);
  });

  test(`${over}: what is nearly too large comes through, and what is, fails`, async (t) => {
    const each = stage(t);
    await each.work({ "a.large": (bytes: number) => "é".repeat(bytes / 2) }, { stream });
    const fits = await each.client.start<string>(calls("a.large"), { input: 1_000_000 });
    const tooLarge = await each.client.start(calls("a.large"), { input: 2_000_000 });

    assert.equal((await fits.result()).length, 500_000);
    await assert.rejects(tooLarge.result(), { code: "OUTPUT_TOO_LARGE" });
  });

  test(`${over}: an error is a failure, by its name`, async (t) => {
    class CardDeclined extends PermanentError {}
    const each = stage(t);
    const functions = {
      "a.type": () => {
        throw new TypeError("not so");
      },
      "a.declined": async () => {
        throw new CardDeclined("no money", { details: { bank: "x", cents: 2n ** 60n } });
      },
      "a.code": () => {
        throw new PermanentError("told", { code: "strange-code" });
      },
      "a.text": () => Promise.reject("no error at all"),
      "a.unwritable": () => {
        throw new PermanentError("told", { code: "TOLD", details: new Map() });
      },
    };
    await each.work(functions, { stream });

    for (const [name, code, message, details] of [
      ["a.type", "TYPE_ERROR", "not so", undefined],
      ["a.declined", "CARD_DECLINED", "no money", { bank: "x", cents: 2n ** 60n }],
      ["a.code", "STRANGE_CODE", "told", undefined],
      ["a.text", "ERROR", "no error at all", undefined],
      [
        "a.unwritable",
        "TOLD",
        "told (details left out: the value: Map has no JSON form)",
        undefined,
      ],
    ] as const) {
      const run = await each.client.start(calls(name));
      await assert.rejects(run.result(), (error) => {
        assert.ok(error instanceof errors.RunFailed);
        assert.deepEqual([error.code, error.details], [code, details]);
        assert.ok(error.failure.message.startsWith(message), error.failure.message);
        return true;
      });
    }
  });

  test(`${over}: what fails is tried again as its policy and its errors say`, async (t) => {
    const each = stage(t);
    const attempts: Record<string, number[]> = {
      policy: [],
      says: [],
      permanent: [],
      none: [],
    };
    const failing = (name: string, error: () => Error) => (_: unknown, ctx: TaskContext) => {
      attempts[name]?.push(ctx.attempt);
      if (ctx.attempt < 3) throw error();
      return ctx.lastFailure?.code;
    };
    const retry = { maxAttempts: 4, initialMs: 1, nonRetryable: ["RANGE_ERROR"] };
    const functions = {
      "a.policy": defineFunction({ retry, execute: failing("policy", () => new Error("x")) }),
      "a.says": failing("says", () => new RetryableError("x", { delayMs: 1, code: "LATER" })),
      "a.permanent": { retry, execute: failing("permanent", () => new RangeError("x")) },
      "a.none": failing("none", () => new Error("x")),
    };
    await each.work(functions, { stream });
    const ended = async (name: string) => {
      const run = await each.client.start(calls(`a.${name}`));
      return run.result().catch((error) => error.code);
    };

    assert.deepEqual(
      [
        await ended("policy"),
        await ended("says"),
        await ended("permanent"),
        await ended("none"),
      ],
      ["ERROR", "LATER", "RANGE_ERROR", "ERROR"],
    );
    assert.deepEqual(attempts, {
      policy: [1, 2, 3],
      says: [1, 2, 3],
      permanent: [1],
      none: [1],
    });
  });

  test(`${over}: a function waits for a signal`, async (t) => {
    const ids: string[] = [];
    const run = await played(t, "a.ask", {
      "a.ask": (_: unknown, ctx) => {
        ids.push(ctx.signalId);
        return waitForSignal({ timeoutMs: 60_000 });
      },
    });

    const yielded = await run.result().catch((error) => error);
    assert.ok(yielded instanceof errors.RunYielded);
    assert.deepEqual(yielded.signalIds, ids);
    assert.equal((await run.signal(yielded.signalId, { yes: true })).disposition, "RESUMED");
    assert.deepEqual(await run.result(), { yes: true });
  });

  test(`${over}: a signal may come before the function waits for it`, async (t) => {
    const each = stage(t);
    const functions = {
      "a.early": async (_: unknown, ctx: TaskContext) => {
        await each.client.signal(ctx.runId, ctx.signalId, "at once");
        return waitForSignal();
      },
    };
    await each.work(functions, { stream });
    const run = await each.client.start(calls("a.early"));

    assert.equal(await run.result(), "at once");
  });

  test(`${over}: a wait for a signal ends in time`, async (t) => {
    const functions = { "a.never": () => waitForSignal({ timeoutMs: 10 }) };
    const run = await played(t, "a.never", functions);

    await assert.rejects(run.result({ throughYields: true }), { code: "STARFLOW_TIMEOUT" });
    assert.equal(run.info.failure?.kind, "TIMEOUT");
  });

  test(`${over}: what nobody waits for is stopped`, async (t) => {
    const each = stage(t);
    const reasons: unknown[] = [];
    let begun = false;
    const functions = {
      "a.endless": async (_: unknown, ctx: TaskContext) => {
        begun = true;
        reasons.push(await stopped(ctx));
        throw ctx.abortSignal.reason;
      },
      "a.next": () => "next",
    };
    await each.work(functions, { stream });
    const run = await each.client.start(calls("a.endless"));
    await until(() => begun, "it began");
    await run.cancel("not needed");

    await until(() => reasons.length, "the function is told");
    assert.ok(reasons[0] instanceof TaskCancelled, String(reasons[0]));
    assert.equal(await (await each.client.start(calls("a.next"))).result(), "next");
  });

  test(`${over}: the next attempt sees how far the one before came`, async (t) => {
    const run = await played(t, "a.far", {
      "a.far": (_: unknown, ctx) => {
        if (ctx.attempt > 1) return [ctx.lastProgress, ctx.lastFailure?.message];
        ctx.progress({ page: 1 });
        ctx.progress({ page: 2n ** 60n });
        throw new RetryableError("again", { delayMs: 1 });
      },
    });

    assert.deepEqual(await run.result(), [{ page: 2n ** 60n }, "again"]);
  });

  test(`${over}: progress is told at once by a heartbeat`, async (t) => {
    const each = stage(t);
    const seen: unknown[] = [];
    const functions = {
      "a.beats": async (_: unknown, ctx: TaskContext) => {
        seen.push(ctx.lastProgress);
        if (ctx.attempt > 1) return "done";
        ctx.heartbeat("far");
        await stopped(ctx);
        throw new Error("too late");
      },
    };
    const retry = { maxAttempts: 2, initialMs: 1 };
    const attempt = { attemptTimeoutMs: 300, retry };
    await each.work({ "a.beats": { ...attempt, execute: functions["a.beats"] } }, { stream });
    const run = await each.client.start(calls("a.beats"));

    assert.equal(await run.result(), "done");
    assert.deepEqual(seen, [undefined, "far"]);
  });

  test(`${over}: a request that the schema refuses fails for good`, async (t) => {
    const positive: Schema<number> = {
      "~standard": {
        validate: (value) => {
          if (typeof value === "number" && value > 0) return { value };
          return { issues: [{ message: "not positive", path: [{ key: "n" }] }] };
        },
      },
    };
    const each = stage(t);
    const retry = { maxAttempts: 5, initialMs: 1 };
    const root = defineFunction({ input: positive, retry, execute: (n) => Math.sqrt(n) });
    await each.work({ "a.root": root, "a.nan": () => Number.NaN }, { stream });
    const end = async (name: string, input: unknown) => {
      const run = await each.client.start(calls(name), { input });
      return run.result().catch(({ failure }) => `${failure.code}: ${failure.message}`);
    };

    assert.equal(await end("a.root", 9), 3);
    assert.equal(await end("a.root", -9), "BAD_INPUT: req.n: not positive");
    const told = "BAD_OUTPUT: what the function returned: the value: NaN has no JSON form";
    assert.equal(await end("a.nan", 0), told);
  });

  test(`${over}: log lines say whose they are`, async (t) => {
    const lines: unknown[] = [];
    const logger = new Journal();
    logger.info = (...line: unknown[]) => void lines.push(line);
    const each = stage(t);
    const functions = {
      "a.logs": (_: unknown, ctx: TaskContext) => ctx.log.info("here", { n: 1 }),
    };
    await each.work(functions, { stream, logger });
    const run = await each.client.start(calls("a.logs"));

    assert.equal(await run.result(), null);
    const { id: runId } = run;
    const [taskId] = lines.flat().flatMap((each) => (each as { taskId?: string }).taskId ?? []);
    const bound = { runId, taskId, function: "a.logs", attempt: 1 };
    assert.deepEqual(lines.at(-1), ["here", { ...bound, n: 1 }]);
  });

  test(`${over}: a worker that is stopped finishes what it holds`, async (t) => {
    const each = stage(t);
    let finish: (() => void) | undefined;
    const functions = {
      "a.slow": () => new Promise((resolve) => (finish = () => resolve("finished"))),
    };
    const worker = await each.work(functions, { stream });
    const run = await each.client.start(calls("a.slow"));
    const end = await until(() => finish, "it began");
    const stop = worker.stop();
    setImmediate(end);
    await stop;

    assert.equal(await run.result(), "finished");
  });

  test(`${over}: what does not end in the grace is given back`, async (t) => {
    const each = stage(t);
    const reasons: unknown[] = [];
    let begun = false;
    const endless = async (_: unknown, ctx: TaskContext) => {
      begun = true;
      reasons.push(await stopped(ctx));
    };
    const first = await each.work({ "a.given": endless }, { stream, graceMs: 10 });
    const run = await each.client.start(calls("a.given"));
    await until(() => begun, "it began");
    await first.stop();
    const attempt = (_: unknown, ctx: TaskContext) => ctx.attempt;
    await each.work({ "a.given": attempt }, { stream });

    // It does not count as an attempt.
    assert.equal(await run.result(), 1);
    assert.ok(reasons[0] instanceof TaskAbandoned);
    assert.ok(!(reasons[0] instanceof TaskCancelled), String(reasons[0]));
  });

  test(`${over}: a worker that somebody drains comes to its end`, async (t) => {
    const each = stage(t);
    const worker = new Worker(each.client, {
      functions: { "a.idle": () => 1 },
      stream,
      logger: new Journal(),
    });
    const life = worker.run({ handleSignals: false });
    await until(
      () =>
        each.client.drainWorker(worker.id).then(
          () => true,
          () => false,
        ),
      "drained",
    );

    await life;
  });

  test(`${over}: a server that is killed loses nothing that a worker holds`, async (t) => {
    const each = await Stage.open(t);
    let begun = 0;
    let finish = () => {};
    const held = new Promise<void>((resolve) => (finish = resolve));
    const functions = {
      "a.held": async (n: number) => {
        begun++;
        await held;
        return n;
      },
    };
    await each.work(functions, { stream, concurrency: 20 });
    const run = await each.client.start(fansOut("a.held", 20));
    await until(() => begun === 20, "all calls are under way");
    await each.server.kill();
    finish();
    await each.server.restart();

    assert.deepEqual(
      await run.result(),
      Array.from({ length: 20 }, (_, n) => n),
    );
    assert.equal(begun, 20, "no call was executed twice");
  });
}

test("functions have names that scripts can write", async () => {
  const client = new Client();
  const execute = () => 1;
  for (const functions of [{}, { hello: execute }, { "a.b.c": execute }, { "a.1": execute }]) {
    assert.throws(() => new Worker(client, { functions }), TypeError);
  }
  assert.throws(
    () => new Worker(client, { functions: { "a.b": execute }, concurrency: 0 }),
    RangeError,
  );
  client.close();
});

for (const stream of [true, false]) {
  test(`a worker that the service refuses says so, stream: ${stream}`, async (t) => {
    const { client } = new Stage(t, server);
    const functions = { "time.now": () => 1 };
    const worker = new Worker(client, { functions, stream, logger: new Journal() });

    await assert.rejects(worker.run(), errors.InvalidRequest);
  });
}

test("a worker runs once", async (t) => {
  const each = new Stage(t, server);
  const worker = await each.work({ "a.once": () => 1 });

  await assert.rejects(worker.run(), errors.StarflowError);
});
