// A whole worker in TypeScript, on nothing but the generated stubs: this file is the
// protocol, functions.ts is what it offers. README.md says how to build and run it.
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Retryability } from "./gen/starflow/v1/failure_pb.js";
import { type Task, WorkerService } from "./gen/starflow/v1/worker_service_pb.js";
import { execute, functions, type Held, type Outcome } from "./functions.js";

const slots = 8; // tasks at a time
const workerId = `typescript-${randomUUID()}`; // no other process ever had it
const baseUrl = `http://${process.env.STARFLOW_ADDRESS}`;
const client = createClient(WorkerService, createGrpcTransport({ baseUrl }));
// By token, from the delivery until the report is answered.
const held = new Map<string, Held>();
let stopping = false;

// Repeats a request until it is answered. That is always safe, and the only way not to
// lose anything in an outage. A service that forgot us is told again who we are.
async function again<A>(request: () => Promise<A>): Promise<A> {
  for (let ms = 50; ; ms = Math.min(2 * ms, 2000)) {
    try {
      return await request();
    } catch (error) {
      console.error(String(error));
      if (ConnectError.from(error).code === Code.FailedPrecondition) await register();
    }
    await pause(ms);
  }
}

function register() {
  const offered = Object.keys(functions).map((name) => ({ name }));
  const worker = { workerId, maxConcurrency: slots };
  return again(() => client.registerFunction({ worker, functions: offered }));
}

// Renews the leases of all held tasks. The service holds each answer back for one
// interval: by the call that breaks off it notices within seconds that we died.
async function beat(wait: Duration) {
  for (;;) {
    const tasks = [...held].map(([taskToken, { progress }]) => ({ taskToken, progress }));
    try {
      const { directives } = await client.heartbeat({ workerId, tasks, wait });
      // CANCEL and ABANDON alike mean to stop.
      for (const { taskToken } of directives) drop(taskToken);
    } catch {
      await pause(200);
    }
  }
}

function drop(token: string) {
  held.get(token)?.stop.abort();
  held.delete(token);
}

async function report(taskToken: string, outcome: Outcome) {
  const results = [{ taskToken, outcome }];
  const { completions } = await again(() => client.completeTasks({ workerId, results }));
  // REJECTED: too large, or no JSON. Without a report it would be executed again.
  const no = completions[0].rejection;
  if (!no) return;
  const retryability = Retryability.PERMANENT;
  await report(taskToken, { case: "failure", value: { code: no.reason, message: no.message, retryability } });
}

async function work(task: Task) {
  const mine: Held = { task, stop: new AbortController() };
  held.set(task.taskToken, mine);
  const outcome = await execute(mine);
  if (!mine.stop.signal.aborted) await report(task.taskToken, outcome);
  drop(task.taskToken);
}

process.on("SIGTERM", () => (stopping = true));
void beat((await register()).heartbeatInterval!);
const running = new Set<Promise<void>>();
// SIGTERM ends the loop with the present poll, and the process with its last task; and so does
// whoever drains this worker at the service.
while (!stopping) {
  while (running.size >= slots) await Promise.race(running);
  const poll = { workerId, pollId: randomUUID(), maxTasks: slots - running.size, wait: { seconds: 3n } };
  const { tasks, drained } = await again(() => client.poll(poll));
  stopping ||= drained;
  for (const task of tasks) {
    const one: Promise<void> = work(task).finally(() => running.delete(one));
    running.add(one);
  }
}
await Promise.all(running);
process.exit(0);
