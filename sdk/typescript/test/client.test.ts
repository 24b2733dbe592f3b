import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { Client, type ClientOptions, type Event, readBundle } from "starflow";
import * as errors from "starflow";
import { ErrorReason } from "starflow/v1/failure";
import { BY_REASON } from "../dist/status.js";
import { Server } from "./support/server.js";
import { Stage } from "./support/stage.js";

const ECHO = "def main(ctx, input):\n    return input\n";
const FAILS = 'def main(ctx, input):\n    fail("no " + input)\n';
const WAITS = `
load("flow", "wait_signal", "set_status")

def main(ctx, input):
    set_status(ctx, "waiting", progress = 0.5)
    return wait_signal(ctx, "word")
`;
const CALLS = "def main(ctx, input):\n    return desk.ask(ctx, input)\n";
const SLEEPS = `
load("time", "millisecond", "now", "sleep")
load("rand", "int")

def main(ctx, input):
    now(ctx)
    int(ctx, 6)
    sleep(ctx, millisecond)
    return input
`;
const UNREGISTERED = { allowUnregistered: true } as const;

// One for all tests that leave it alone.
const server = await Server.start({ after });

function open(t: TestContext, options: ClientOptions = {}): Client {
  return new Stage(t, server, options).client;
}

async function thrown(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => assert.fail(`nothing was thrown, but ${String(value)} returned`),
    (error: unknown) => error,
  );
}

async function collected<Each>(generator: AsyncIterable<Each>): Promise<Each[]> {
  const found: Each[] = [];
  for await (const each of generator) found.push(each);
  return found;
}

test("a run returns what main returns", async (t) => {
  const run = await open(t).start<string>(ECHO, { input: "Ada" });

  assert.equal(await run.result({ timeoutMs: 10_000 }), "Ada");
  assert.equal(run.info.state, "SUCCEEDED");
  assert.ok(run.created);
  assert.ok(run.info.createTime instanceof Date);
});

test("values come back as they were sent", async (t) => {
  const input = {
    text: 'Zürich 東京 😀 \u0000 \u2028 "quoted"',
    big: 2n ** 200n,
    numbers: [0, -1, 1.5, Number.MAX_SAFE_INTEGER, 5e-324],
    nothing: null,
    empty: [{}, [], ""],
  };
  const run = await open(t).start(ECHO, { input });

  assert.deepStrictEqual(await run.result(), input);
});

test("exact numbers keep 1 and 1.0 apart", async (t) => {
  const run = await open(t, { numbers: "exact" }).start(ECHO, { input: [1n, 1, 2n ** 64n] });

  assert.deepStrictEqual(await run.result(), [1n, 1, 2n ** 64n]);
});

test("starting again under the same id finds the run", async (t) => {
  const client = open(t);
  const first = await client.start(ECHO, { input: 1, runId: "twice" });
  const second = await client.start(ECHO, { input: 1, runId: "twice", waitMs: 1_000 });

  assert.deepEqual([first.created, second.created], [true, false]);
  await assert.rejects(client.start(ECHO, { input: 2, runId: "twice" }), errors.RunIdConflict);
  const any = await client.start(ECHO, { input: 2, runId: "twice", conflict: "attachAny" });
  assert.equal(await any.result(), 1);
});

test("a script is found by its hash", async (t) => {
  const client = open(t);
  const { info } = await client.start(ECHO, { input: "by text" });
  const run = await client.start({ hash: info.scriptHash }, { input: "by hash" });

  assert.equal(await run.result(), "by hash");
  assert.equal((await run.get({ withScript: true })).script, ECHO);
  await assert.rejects(client.start({ hash: "0".repeat(64) }), errors.ScriptNotFound);
});

test("a script may have several files", async (t) => {
  const place = mkdtempSync(join(tmpdir(), "starflow-bundle-"));
  mkdirSync(join(place, "lib"));
  writeFileSync(join(place, "lib/tax.star"), "RATE = 19\n");
  const main = 'load("lib/tax.star", "RATE")\ndef main(ctx, input):\n    return RATE\n';
  writeFileSync(join(place, "main.star"), main);
  const run = await open(t).start<number>(await readBundle(place));

  assert.equal(await run.result(), 19);
});

test("a failed run says why", async (t) => {
  const run = await open(t).start(FAILS, { input: "way" });

  const error = await thrown(run.result());
  assert.ok(error instanceof errors.RunFailed && error instanceof errors.StarflowError);
  assert.match(error.message, /^run \S+ failed: \w+: .*no way/);
  assert.equal(error.failure.kind, "SCRIPT");
});

for (const [what, start, expected] of [
  ["does not parse", "def main(", errors.ScriptInvalid],
  [
    "calls what nobody offers",
    "def main(ctx, input):\n    nobody.offers()\n",
    errors.FunctionUnknown,
  ],
  ["is too large", `x = "${"x".repeat(300_000)}"`, errors.TooLarge],
  ["is larger than any message", `x = "${"x".repeat(5_000_000)}"`, errors.TooLarge],
] as const) {
  test(`a script that ${what} is refused`, async (t) => {
    await assert.rejects(open(t).start(start), (error) => {
      return error instanceof expected && error.status !== "UNKNOWN";
    });
  });
}

test("what does not exist is not found", async (t) => {
  const run = open(t).run("nobody");

  const asks = [run.get(), run.wait(), run.cancel(), run.signal("x"), collected(run.events())];
  const expected = { name: "RunNotFound", status: "NOT_FOUND", reason: "RUN_NOT_FOUND" };
  await Promise.all(asks.map((ask) => assert.rejects(ask, expected)));
});

test("a request that is wrong says which field is", async (t) => {
  const client = open(t, { namespace: "No Such" });

  await assert.rejects(client.start(ECHO), (error) => {
    return error instanceof errors.InvalidRequest && /namespace/.test(error.message);
  });
});

test("an input without a JSON form is refused before anything is sent", async (t) => {
  await assert.rejects(open(t).start(ECHO, { input: { a: NaN } }), errors.ConversionError);
});

test("a script is answered by a signal by name", async (t) => {
  const client = open(t);
  const run = await client.start(WAITS);

  const yielded = await thrown(run.result());
  assert.ok(yielded instanceof errors.RunYielded);
  assert.deepEqual([yielded.signalName, yielded.signalNames], ["word", ["word"]]);
  assert.deepEqual(run.info.status, { text: "waiting", progress: 0.5 });
  const sent = await run.signal({ name: "word", requestId: "1" }, { go: true });
  assert.equal(sent.disposition, "RESUMED");
  assert.deepEqual(await run.result(), { go: true });
  const again = await run.signal({ name: "word", requestId: "1" }, { go: true });
  assert.equal(again.disposition, "DUPLICATE");
  await assert.rejects(run.signal({ name: "word" }, 1), errors.RunFinished);
});

test("a signal may carry a failure", async (t) => {
  const run = await open(t).start(WAITS);
  const failure = { code: "REFUSED", message: "no", details: { by: "Ada" } };
  await run.signal({ name: "word" }, undefined, { failure });

  await assert.rejects(run.result(), { code: "REFUSED", details: { by: "Ada" } });
});

test("a signal that nobody waits for is kept, or refused if asked", async (t) => {
  const client = open(t);
  const run = await client.start(CALLS, UNREGISTERED);

  const kept = await run.signal({ name: "early" }, 1);
  assert.equal(kept.disposition, "KEPT");
  assert.deepEqual(
    (await run.get()).unreadSignals.map(({ name }) => name),
    ["early"],
  );
  const hurried = run.signal({ name: "early" }, 1, { onlyIfWaiting: true });
  await assert.rejects(hurried, errors.SignalNotExpected);
  await assert.rejects(run.signal("1-nonsense", 1), errors.SignalNotExpected);
});

test("a wait that takes too long says where the run stands", async (t) => {
  const run = await open(t).start(CALLS, UNREGISTERED);

  await assert.rejects(run.result({ timeoutMs: 50 }), {
    name: "ResultTimeout",
    state: "RUNNING",
  });
  const [wait] = run.info.waits;
  assert.deepEqual([wait?.kind, wait?.kind === "CALL" && wait.function], ["CALL", "desk.ask"]);
});

test("a wait ends when its abortSignal is aborted", async (t) => {
  const run = await open(t).start(CALLS, UNREGISTERED);
  const reason = new Error("enough");

  await assert.rejects(run.wait({ abortSignal: AbortSignal.abort(reason) }), reason);
  const stop = new AbortController();
  const waiting = run.wait({ abortSignal: stop.signal });
  setImmediate(() => stop.abort(reason));
  await assert.rejects(waiting, reason);
});

test("a cancelled run ends as cancelled, and a terminated one, too", async (t) => {
  const client = open(t);
  for (const end of ["cancel", "terminate"] as const) {
    const run = await client.start(CALLS, UNREGISTERED);
    await run[end]("not needed");

    const error = await thrown(run.result());
    assert.ok(error instanceof errors.RunCancelled);
    assert.match(error.message, /was cancelled: .*not needed/);
    assert.equal((await run.unpause()).state, "CANCELLED");
  }
});

test("the log is read as it was written", async (t) => {
  const client = open(t);
  const run = await client.start(SLEEPS, { input: { n: 1 } });
  await run.result();

  const events = await collected(run.events());
  const types = ["START", "TIME_NOW", "RAND_INT", "SLEEP", "FINISH"];
  assert.deepEqual(
    events.map((event) => event.type),
    types,
  );
  assert.deepEqual(
    events.map((event) => event.version),
    [1, 2, 3, 4, 5],
  );
  assert.ok(events.every((event) => event.time instanceof Date));
  const [start, now, random, sleep, finish] = events;
  assert.ok(start?.type === "START" && now?.type === "TIME_NOW" && random?.type === "RAND_INT");
  assert.ok(sleep?.type === "SLEEP" && finish?.type === "FINISH");
  assert.deepEqual(start.input, { n: 1 });
  assert.equal(start.scriptHash, run.info.scriptHash);
  assert.ok(now.value <= sleep.wakeTime && sleep.wakeTime <= finish.time);
  assert.ok(Number(random.value) >= 0 && Number(random.value) < 6);
  assert.deepEqual(finish.output, { n: 1 });
});

test("a part of the log may be asked for", async (t) => {
  const client = open(t);
  const run = await client.start(SLEEPS, { input: "x" });
  await run.result();
  const versions = async (options: Parameters<typeof run.events>[0]) => {
    return (await collected(run.events(options))).map((event) => event.version);
  };

  assert.deepEqual(await versions({ fromVersion: 3 }), [3, 4, 5]);
  assert.deepEqual(await versions({ fromVersion: 2, limit: 2 }), [2, 3]);
  assert.deepEqual(await versions({ types: ["SLEEP", "FINISH"] }), [4, 5]);
  const [start] = await collected(run.events({ omitPayloads: true, limit: 1 }));
  assert.ok(start?.type === "START" && !("input" in start));
  await assert.rejects(versions({ fromVersion: 7 }), errors.VersionOutOfRange);
  await assert.rejects(versions({ types: ["NONE" as Event["type"]] }), TypeError);
});

test("a script is checked without running it", async (t) => {
  const client = open(t);

  assert.ok((await client.validate(ECHO)).valid);
  const bad = await client.validate("def main(ctx, input):\n    return x\n");
  assert.equal(bad.valid, false);
  assert.deepEqual([bad.diagnostics[0]?.severity, bad.diagnostics[0]?.line], ["ERROR", 2]);
  assert.deepEqual((await client.validate({ sources: { "main.star": CALLS } })).functions, [
    "desk.ask",
  ]);
});

test("a server tells what it is", async (t) => {
  const info = await open(t).serverInfo();

  assert.deepEqual([info.store, info.durability], ["sqlite", "DISK"]);
  assert.equal(info.limits["max_payload_bytes"], info.maxPayloadBytes);
});

test("every reason that the service gives has its class", () => {
  const names = Object.keys(ErrorReason).filter((name) => Number.isNaN(Number(name)));

  assert.deepEqual(
    names.filter((name) => !(name in BY_REASON)),
    ["UNSPECIFIED"],
  );
  assert.deepEqual(
    Object.keys(BY_REASON).filter((name) => !names.includes(name)),
    [],
  );
});

test("an address is HOST:PORT", () => {
  for (const address of [
    "localhost",
    "http://localhost:7233",
    "user@host:1",
    "",
    "host:7233/x",
  ]) {
    assert.throws(() => new Client({ address }), TypeError);
  }
  for (const address of ["localhost:7233", "[::1]:7233", "my-host.example:1"]) {
    new Client({ address }).close();
  }
});

test("who cannot be reached is unavailable when patience ends", async () => {
  // Nothing listens on port 1.
  const client = new Client({ address: "127.0.0.1:1", patienceMs: 200 });

  await assert.rejects(client.serverInfo(), (error) => {
    return (
      error instanceof errors.Unavailable && /^cannot reach 127.0.0.1:1: /.test(error.message)
    );
  });
  client.close();
});

test("a client that waits outlives its server, and misses no event", async (t) => {
  const { client, server } = await Stage.open(t);
  const run = await client.start(WAITS);
  const following = collected(run.events({ follow: true }));
  const result = run.result({ throughYields: true });
  await server.kill();
  // A request in the outage is sent until it is answered.
  const signal = run.signal({ name: "word" }, "at last");
  await server.restart();

  assert.equal((await signal).disposition, "RESUMED");
  assert.equal(await result, "at last");
  const versions = (await following).map((event) => event.version);
  assert.deepEqual(
    versions,
    versions.map((_, index) => index + 1),
  );
  assert.equal((await following).at(-1)?.type, "FINISH");
});

test("a server that ends in peace ends no log that is followed", async (t) => {
  const { client, server } = await Stage.open(t);
  const run = await client.start(WAITS);
  const following = collected(run.events({ follow: true }));
  await server.stop();
  await server.restart();
  await run.signal({ name: "word" }, 1);

  assert.equal((await following).at(-1)?.type, "FINISH");
});
