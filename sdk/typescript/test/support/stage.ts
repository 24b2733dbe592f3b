/** A server, a client of it, and workers, which all end with their test. */
import { Client, type ClientOptions, type Logger, Worker, type WorkerOptions } from "starflow";
import { type Scope, Server } from "./server.js";

/** Keeps what was logged, and shows none of it. */
export class Journal implements Logger {
  readonly lines: string[] = [];
  debug = (message: string) => void this.lines.push(message);
  info = this.debug;
  warn = this.debug;
  error = this.debug;
}

/** Ends what was begun in it, the last first. */
class Stack implements Scope {
  private readonly ends: (() => unknown)[] = [];

  constructor(scope: Scope) {
    scope.after(async () => {
      for (const end of this.ends.reverse()) await end();
    });
  }

  after(end: () => unknown): void {
    this.ends.push(end);
  }
}

/** One test's client and workers. */
export class Stage {
  readonly client: Client;
  private readonly scope: Scope;

  constructor(
    scope: Scope,
    readonly server: Server,
    options: ClientOptions = {},
  ) {
    this.scope = scope instanceof Stack ? scope : new Stack(scope);
    this.client = new Client({ address: server.address, ...options });
    this.scope.after(() => this.client.close());
  }

  /** Starts a server of its own. */
  static async open(scope: Scope, ...options: string[]): Promise<Stage> {
    const stack = new Stack(scope);
    return new Stage(stack, await Server.start(stack, ...options));
  }

  /** Starts a worker in this process, and waits until the service knows it. */
  async work(
    functions: WorkerOptions["functions"],
    options: Partial<WorkerOptions> = {},
  ): Promise<Worker> {
    const worker = new Worker(this.client, { logger: new Journal(), functions, ...options });
    this.scope.after(async () => {
      // Twice, so that what a failed test left hanging is not waited for.
      void worker.stop();
      await worker.stop();
    });
    await worker.start();
    return worker;
  }
}
