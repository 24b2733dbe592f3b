/** A server, a client of it, and workers, which all end with their test. */
import type { TestContext } from "node:test";
import { Client, type ClientOptions, type Logger, Worker, type WorkerOptions } from "starflow";
import { Server } from "./server.js";

/** Keeps what was logged, and shows none of it. */
export class Journal implements Logger {
  readonly lines: string[] = [];
  debug = (message: string) => void this.lines.push(message);
  info = this.debug;
  warn = this.debug;
  error = this.debug;
}

/** One test's client and workers. */
export class Stage {
  readonly client: Client;

  constructor(
    private readonly test: TestContext,
    readonly server: Server,
    options: ClientOptions = {},
  ) {
    this.client = new Client({ address: server.address, ...options });
    test.after(() => this.client.close());
  }

  /** Starts a server of its own. */
  static async open(test: TestContext, ...options: string[]): Promise<Stage> {
    return new Stage(test, await Server.start(test, ...options));
  }

  /** Starts a worker in this process, and waits until the service knows it. */
  async work(
    functions: WorkerOptions["functions"],
    options: Partial<WorkerOptions> = {},
  ): Promise<Worker> {
    const worker = new Worker(this.client, { logger: new Journal(), functions, ...options });
    this.test.after(async () => {
      // Twice, so that what a failed test left hanging is not waited for.
      void worker.stop();
      await worker.stop();
    });
    await worker.start();
    return worker;
  }
}
