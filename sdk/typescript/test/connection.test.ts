import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createSecureServer, type IncomingHttpHeaders } from "node:http2";
import { connect, createServer, type Server as TcpServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as errors from "starflow";
import { Client, Worker } from "starflow";
import { until } from "./support/server.js";
import { Journal, Stage } from "./support/stage.js";

const CALLS = "def main(ctx, input):\n    return a.held(ctx, input)\n";
const WAITS = `
load("flow", "wait_signal")

def main(ctx, input):
    return wait_signal(ctx, "word")
`;

// From build, where tsc leaves them out.
const TLS = fileURLToPath(new URL("../test/support/tls/", import.meta.url));
const cert = readFileSync(`${TLS}cert.pem`);
const key = readFileSync(`${TLS}key.pem`);

async function listening(t: TestContext, server: TcpServer): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return `localhost:${(server.address() as AddressInfo).port}`;
}

/** A service that lets nobody in, by TLS, and keeps what it was sent. */
async function bouncer(t: TestContext) {
  const seen: IncomingHttpHeaders[] = [];
  const server = createSecureServer({ cert, key }, (request, response) => {
    seen.push(request.headers);
    response.writeHead(200, {
      "content-type": "application/grpc",
      "grpc-status": "16",
      "grpc-message": "who are you?",
    });
    response.end();
  });
  return { seen, address: await listening(t, server) };
}

test("a client speaks TLS with whom it trusts, and shows its headers", async (t) => {
  const { seen, address } = await bouncer(t);
  let count = 0;
  const headers = () => ({ authorization: `Bearer ${++count}` });
  const client = new Client({ address, tls: { ca: cert }, headers });
  t.after(() => client.close());

  const refused = {
    name: "InvalidRequest",
    status: "UNAUTHENTICATED",
    message: "who are you?",
  };
  await assert.rejects(client.serverInfo(), refused);
  await assert.rejects(client.serverInfo(), refused);
  assert.deepEqual(
    seen.map(({ authorization }) => authorization),
    ["Bearer 1", "Bearer 2"],
  );
});

test("a client does not speak with whom it does not trust", async (t) => {
  const { seen, address } = await bouncer(t);
  const client = new Client({ address, tls: true, patienceMs: 0 });
  t.after(() => client.close());

  await assert.rejects(client.serverInfo(), errors.Unavailable);
  assert.deepEqual(seen, []);
});

test("a worker that nobody lets in says so", async (t) => {
  const { address } = await bouncer(t);
  const client = new Client({ address, tls: { ca: cert } });
  t.after(() => client.close());
  const worker = new Worker(client, {
    functions: { "a.held": () => 1 },
    logger: new Journal(),
  });

  await assert.rejects(worker.start(), { status: "UNAUTHENTICATED" });
});

test("a closed client ends what waits, and starts nothing", async (t) => {
  const { client } = await Stage.open(t);
  const run = await client.start(WAITS);
  const waiting = run.result({ throughYields: true });
  const following = run.events({ follow: true });
  for (const type of ["START", "WAIT"]) {
    assert.equal((await following.next()).value?.type, type);
  }
  setImmediate(() => client.close());

  const closed = { name: "StarflowError", message: "the client is closed" };
  await assert.rejects(waiting, closed);
  await assert.rejects(following.next(), closed);
  await assert.rejects(client.start(WAITS), closed);
});

/** Passes bytes on, until it is told to swallow those of the connections that there are. */
class Wire {
  readonly server: TcpServer;
  readonly sockets: Socket[] = [];

  constructor(port: number) {
    this.server = createServer((near) => {
      const far = connect(port, "127.0.0.1");
      this.sockets.push(near, far);
      for (const socket of [near, far]) socket.on("error", () => undefined);
      near.pipe(far).pipe(near);
    });
  }

  /** The connections stay open, but nothing gets through any more. */
  swallow(): void {
    for (const socket of this.sockets) socket.unpipe().pause();
  }

  end(): void {
    for (const socket of this.sockets) socket.destroy();
  }
}

for (const stream of [true, false]) {
  const over = stream ? "a stream" : "single requests";
  for (const when of ["in", "after"])
    test(`${over}: silence costs no task that ends ${when} it`, async (t) => {
      const stage = await Stage.open(t, "--lease", "4s", "--heartbeat", "500ms");
      const wire = new Wire(Number(stage.server.address.split(":")[1]));
      const address = await listening(t, wire.server);
      const client = new Client({ address });
      let finish: (() => void) | undefined;
      let begun = 0;
      const functions = {
        "a.held": () => {
          begun++;
          return new Promise((resolve) => (finish = () => resolve("once")));
        },
      };
      const worker = new Worker(client, { functions, stream, logger: new Journal() });
      t.after(async () => {
        wire.end();
        void worker.stop();
        await worker.stop();
        client.close();
      });
      await worker.start();
      const run = await stage.client.start(CALLS);
      const end = await until(() => finish, "it began");
      wire.swallow();
      const connections = wire.sockets.length;
      if (when === "in") end();
      await until(() => wire.sockets.length > connections, "it connects again");
      end();

      assert.equal(await run.result(), "once");
      assert.equal(begun, 1);
    });
}
