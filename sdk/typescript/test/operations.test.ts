import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import * as errors from "starflow";
import type { RunInfo, TaskContext } from "starflow";
import { until } from "./support/server.js";
import { Stage } from "./support/stage.js";

const ECHO = "def main(ctx, input):\n    return input\n";
const CALLS = "def main(ctx, input):\n    return desk.ask(ctx, input)\n";
const UNREGISTERED = { allowUnregistered: true } as const;

async function collected<Each>(generator: AsyncIterable<Each>): Promise<Each[]> {
  const found: Each[] = [];
  for await (const each of generator) found.push(each);
  return found;
}

test("runs are found by what they are, and deleted", async (t) => {
  const { client } = await Stage.open(t);
  const listed = async (options: Parameters<typeof client.list>[0]) => {
    return (await collected(client.list(options))).map(({ id }: RunInfo) => id);
  };
  const began = new Date();
  for (const runId of ["a-1", "a-2", "b-1"]) {
    const labels = { team: runId.slice(0, 1) };
    await client.start(ECHO, { runId, labels, waitMs: 5_000 });
  }
  const waiting = await client.start(CALLS, { runId: "b-2", ...UNREGISTERED });

  assert.deepEqual(await listed({}), ["b-2", "b-1", "a-2", "a-1"]);
  assert.deepEqual(await listed({ states: ["SUCCEEDED"], prefix: "b" }), ["b-1"]);
  assert.deepEqual(await listed({ labels: { team: "a" } }), ["a-2", "a-1"]);
  assert.deepEqual(await listed({ before: began }), []);
  assert.deepEqual(await listed({ since: began, paused: true }), []);
  assert.deepEqual(await listed({ scriptHash: waiting.info.scriptHash }), ["b-2"]);
  assert.throws(() => client.list({ states: ["DONE" as never] }), TypeError);

  assert.equal(await client.delete("a-1"), true);
  assert.equal(await client.run("a-1").delete(), false);
  await assert.rejects(client.delete("a-1"), errors.RunNotFound);
  await assert.rejects(client.start(ECHO, { runId: "a-1" }), errors.RunDeleted);
  await assert.rejects(waiting.delete(), errors.RunNotFinished);
  assert.deepEqual(await listed({ prefix: "a" }), ["a-2"]);
});

test("more runs than one page holds are listed once each", async (t) => {
  const { client } = await Stage.open(t, "--store", "memory:");
  const ids = Array.from({ length: 620 }, (_, n) => `r-${n}`);
  for (let first = 0; first < ids.length; first += 62) {
    const some = ids.slice(first, first + 62);
    await Promise.all(some.map((runId) => client.start(ECHO, { runId })));
  }

  const found = (await collected(client.list())).map(({ id }) => id);
  assert.deepEqual(found.toSorted(), ids.toSorted());
});

test("headers reach the functions that a run calls", async (t) => {
  const stage = await Stage.open(t);
  await stage.work({ "desk.ask": (_: unknown, ctx: TaskContext) => ctx.headers });
  const headers = { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" };
  const run = await stage.client.start(CALLS, { headers });

  assert.deepEqual(await run.result(), headers);
});

test("who serves what is seen, and what waits", async (t) => {
  const { client, work } = await opened(t);
  const execute = (req: unknown) => req;
  const timeouts = { attemptTimeoutMs: 1_500, callTimeoutMs: 60_000 };
  const definition = { execute, description: "asks", ...timeouts, queue: "slow" };
  const inputSchema = { type: "object" };
  const functions = { "desk.ask": { ...definition, inputSchema }, "desk.tell": execute };
  const options = { concurrency: 7, buildId: "b7", labels: { zone: "x" } };
  const worker = await work(functions, options);
  await client.start("def main(ctx, input):\n    return web.get(ctx)\n", UNREGISTERED);

  const listed = await collected(client.listFunctions());
  assert.deepEqual(
    listed.map(({ name }) => name),
    ["desk.ask", "desk.tell", "web.get"],
  );
  const [ask, tell, get] = listed;
  assert.deepEqual(
    [ask?.attemptTimeoutMs, ask?.callTimeoutMs],
    [1_500, 60_000],
  );
  assert.deepEqual(
    [ask?.description, ask?.queue, ask?.inputSchema],
    ["asks", "slow", '{"type":"object"}'],
  );
  assert.deepEqual([tell?.workerIds, tell?.workerCount], [[worker.id], 1]);
  assert.deepEqual([get?.registered, get?.queued, get?.workerCount], [false, 1, 0]);
  assert.ok(get?.oldestCallTime instanceof Date);

  const [one, ...more] = await collected(client.listWorkers());
  assert.deepEqual(more, []);
  assert.deepEqual(
    [one?.id, one?.functions, one?.connection, one?.live, one?.draining],
    [worker.id, ["desk.ask", "desk.tell"], "STREAM", true, false],
  );
  assert.deepEqual([one?.maxConcurrency, one?.buildId, one?.labels], [7, "b7", { zone: "x" }]);
  assert.match(one?.sdk ?? "", /^starflow-typescript\/\d/);
});

test("a queue bounds how many tasks are under way", async (t) => {
  const { client, work } = await opened(t);
  const set = await client.setQueue("desk", { maxInFlight: 2, rate: { tokens: 1000 } });
  assert.deepEqual(
    [set.maxInFlight, set.rate],
    [2, { tokens: 1000, perMs: 1_000, burst: 1000 }],
  );
  let now = 0;
  let most = 0;
  const finished: (() => void)[] = [];
  await work({
    "desk.ask": async () => {
      most = Math.max(most, ++now);
      await new Promise<void>((resolve) => finished.push(resolve));
      now--;
    },
  });
  const runs = await Promise.all(Array.from({ length: 5 }, () => client.start(CALLS)));
  const stands = await until(async () => {
    const [queue] = await collected(client.listQueues());
    return queue?.inFlight === 2 && queue.waiting === 3 && queue;
  }, "three calls wait for their turn");
  assert.ok(stands.oldestCallTime instanceof Date);
  await until(async () => {
    for (const end of finished.splice(0)) end();
    const states = await Promise.all(runs.map((run) => run.get()));
    return states.every(({ finished }) => finished);
  }, "all runs end");

  assert.equal(most, 2);
  assert.deepEqual(
    [await client.deleteQueue("desk"), await client.deleteQueue("desk")],
    [true, false],
  );
  await assert.rejects(client.setQueue("desk", {}), errors.InvalidRequest);
});

test("a worker that nobody knows cannot be drained", async (t) => {
  const { client } = await opened(t);

  await assert.rejects(client.drainWorker("nobody"), errors.WorkerNotRegistered);
});

async function opened(t: TestContext) {
  const stage = await Stage.open(t);
  return { client: stage.client, work: stage.work.bind(stage) };
}
