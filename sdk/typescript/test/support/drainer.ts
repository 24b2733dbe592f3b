/** Somebody who asks workers to end, with the generated stubs. */
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { WorkerService } from "starflow/v1/worker_service";
import { until } from "./server.js";

export class Drainer {
  private readonly stub;

  constructor(address: string) {
    this.stub = createClient(WorkerService, createGrpcTransport({ baseUrl: `http://${address}` }));
  }

  /** Drains a worker as soon as the service knows it. */
  async drain(workerId: string): Promise<void> {
    await until(async () => {
      return this.stub.drainWorker({ workerId }).catch(() => undefined);
    }, "the worker is drained");
  }
}
