import assert from "node:assert/strict";
import { test } from "node:test";
import { until, workerProcess } from "./support/server.js";
import { Stage } from "./support/stage.js";

const SLEEPERS = 20;
const SLEEPS = `
load("flow", "start", "wait")

def main(ctx, input):
    return wait(ctx, [start(ctx, check.sleep, input) for _ in range(${SLEEPERS})])
`;
const UNREGISTERED = { allowUnregistered: true } as const;

test("what a worker held that was killed, another one executes", async (t) => {
  const { client, server, work } = await opened(t);
  const dying = workerProcess(t, "check-worker.js", server.address);
  dying.launch();
  await dying.says("registered");
  const run = await client.start(SLEEPS, { input: { seconds: 3600 }, ...UNREGISTERED });
  await until(async () => {
    const { waits } = await run.get();
    return waits.filter((wait) => wait.kind === "CALL" && wait.workerId).length === SLEEPERS;
  }, "it holds all tasks");
  await work({ "check.sleep": () => "elsewhere" });
  await dying.kill();

  assert.deepEqual(await run.result(), Array(SLEEPERS).fill("elsewhere"));
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`${signal} lets a worker finish, report and exit with 0`, async (t) => {
    const { client, server } = await opened(t);
    const worker = workerProcess(t, "check-worker.js", server.address);
    worker.launch();
    await worker.says("registered");
    const run = await client.start(SLEEPS, { input: { seconds: 0.5 }, ...UNREGISTERED });
    await until(
      async () => (await run.get()).waits.some((wait) => "workerId" in wait),
      "it works",
    );
    worker.send(signal);

    assert.equal(await worker.ended(), 0);
    assert.deepEqual(await run.result({ timeoutMs: 10_000 }), Array(SLEEPERS).fill("slept"));
  });
}

test("a second SIGTERM ends the grace", async (t) => {
  const { client, server } = await opened(t);
  const worker = workerProcess(t, "check-worker.js", server.address);
  worker.launch();
  await worker.says("registered");
  const run = await client.start(SLEEPS, { input: { seconds: 3600 }, ...UNREGISTERED });
  await until(
    async () => (await run.get()).waits.some((wait) => "workerId" in wait),
    "it works",
  );
  worker.send("SIGTERM");
  await worker.says("draining");
  worker.send("SIGTERM");

  assert.equal(await worker.ended(), 0);
  const { waits } = await run.get();
  assert.equal(
    waits.filter((wait) => "workerId" in wait).length,
    0,
    "all tasks were given back",
  );
});

test("a program that only starts a run needs no close to end", async (t) => {
  const { server } = await opened(t);
  const program = workerProcess(t, "starter.js", server.address);
  program.launch();

  assert.equal(await program.ended(), 0, program.output);
  assert.match(program.output, /^started \S+\n$/);
});

async function opened(t: Parameters<typeof Stage.open>[0]) {
  const stage = await Stage.open(t);
  return { client: stage.client, server: stage.server, work: stage.work.bind(stage) };
}
