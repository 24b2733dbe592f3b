/** The worker as its users see it. */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { create } from "@bufbuild/protobuf";
import { Gate } from "./bell.js";
import type { Client } from "./client.js";
import { StarflowError } from "./errors.js";
import { definitions, type Functions } from "./functions.js";
import { WorkerInfoSchema } from "./gen/starflow/v1/worker_service_pb.js";
import { type Logger, stderrLogger } from "./log.js";
import { VERSION } from "./version.js";
import { Session } from "./worker/session.js";

const SIGNALS = ["SIGTERM", "SIGINT"] as const;

export interface WorkerOptions {
  /** What it offers, by the dotted names that scripts call. */
  functions: Functions;
  /** The most tasks that it executes at a time; 64. */
  concurrency?: number;
  /** How long functions under way may take after the worker was told to stop; 20 s. */
  graceMs?: number;
  /** Where it tells people what happens; stderr. */
  logger?: Logger;
  /** False takes tasks by single requests, for networks that end long streams. */
  stream?: boolean;
  /** The build that runs, such as a git hash, and free labels; informational. */
  buildId?: string;
  labels?: Readonly<Record<string, string>>;
}

/**
 * Executes functions for the runs of the client's namespace.
 *
 * When it is told to stop, by SIGTERM, SIGINT or `stop`, it takes no more tasks, waits up
 * to `graceMs` for those under way, and gives the rest back; a second signal ends the
 * grace.
 */
export class Worker {
  /** Different for every worker ever made. */
  readonly id = `${hostname().slice(0, 64)}/${process.pid}/${randomBytes(6).toString("hex")}`;
  private readonly session: Session;
  private readonly logger: Logger;
  private readonly graceMs: number;
  private readonly registered = new Gate();
  private readonly asked = new Gate();
  private life: Promise<void> | undefined;
  private wasTold = false;

  constructor(client: Client, options: WorkerOptions) {
    const { functions, concurrency = 64, buildId = "", labels = {} } = options;
    if (!Number.isInteger(concurrency) || concurrency < 1) {
      throw new RangeError(`concurrency is ${concurrency}, but one is the least`);
    }
    const { connection, numbers } = client;
    const worker = create(WorkerInfoSchema, {
      workerId: this.id,
      sdk: `starflow-typescript/${VERSION}`,
      maxConcurrency: concurrency,
      buildId,
      labels: { ...labels },
    });
    const { logger = stderrLogger } = options;
    this.logger = logger;
    this.graceMs = options.graceMs ?? 20_000;
    const surroundings = { connection, numbers, logger, mayStream: options.stream ?? true };
    this.session = new Session(worker, definitions(functions), surroundings, {
      onRegistered: () => {
        logger.info("registered", { workerId: this.id });
        this.registered.open();
      },
      onDrained: () => this.asked.open(),
    });
  }

  /**
   * Executes tasks until the worker is told to stop, by a signal, `stop` or DrainWorker.
   *
   * While the service cannot be reached it keeps trying.
   *
   * @throws {InvalidRequest} The service refuses the worker or one of its functions.
   */
  async run(options: { handleSignals?: boolean } = {}): Promise<void> {
    const life = this.begin();
    const stop = () => void this.stop();
    const { handleSignals = true } = options;
    if (handleSignals) for (const name of SIGNALS) process.on(name, stop);
    try {
      await life;
    } finally {
      for (const name of SIGNALS) process.off(name, stop);
    }
  }

  /**
   * Begins to execute tasks; resolves as soon as the service knows the worker.
   *
   * @throws {InvalidRequest} The service refuses the worker or one of its functions.
   */
  async start(): Promise<void> {
    await Promise.race([this.registered.opened, this.begin()]);
  }

  /** Drains, and resolves when the worker has ended; called again, it ends the grace. */
  async stop(): Promise<void> {
    if (this.wasTold) this.session.hurry();
    this.wasTold = true;
    this.asked.open();
    await this.life?.catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  private begin(): Promise<void> {
    if (this.life !== undefined) throw new StarflowError("a worker runs once: make a new one");
    this.life = this.live();
    // Whoever waits for it is told; nobody has to.
    this.life.catch(() => undefined);
    return this.life;
  }

  private async live(): Promise<void> {
    const work = this.session.run();
    try {
      await Promise.race([work, this.asked.opened]);
      this.logger.info("draining", { workerId: this.id });
      await this.session.drain(this.graceMs);
      await work;
    } finally {
      this.session.close();
    }
  }
}
