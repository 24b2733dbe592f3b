/** One life of a worker, from the first request to the last result. */
import { Backoff, pause } from "../backoff.js";
import { Bell } from "../bell.js";
import type { Connection } from "../connection.js";
import { InvalidRequest } from "../errors.js";
import { type FunctionDefinition, toSpec } from "../functions.js";
import type { WorkerInfo } from "../gen/starflow/v1/worker_service_pb.js";
import type { Numbers } from "../json.js";
import type { Logger } from "../log.js";
import type { ServerInfo } from "../model.js";
import { mayHelpLater } from "../status.js";
import { type Courier, type Crew, SHUTTING_DOWN } from "./courier.js";
import { Executor } from "./executor.js";
import { Ledger } from "./ledger.js";
import { Link } from "./link.js";
import { Polling } from "./polling.js";
import { Reports } from "./reports.js";
import { Streaming } from "./streaming.js";

// What aborted functions get for their clean-up, and the last results for their way.
const CLEAN_UP_MS = 1_000;
const FLUSH_MS = 5_000;
const TASKS_MAX = 1_000;

/** What a session is made in. */
export interface Surroundings {
  readonly connection: Connection;
  readonly numbers: Numbers;
  readonly logger: Logger;
  /** Whether to work over a stream where the service offers that. */
  readonly mayStream: boolean;
}

/** What a session tells its worker. */
export interface SessionHooks {
  onRegistered(): void;
  onDrained(): void;
}

/** Everything that lives between the start and the end of a worker. */
export class Session {
  private readonly link: Link;
  private readonly ledger: Ledger;
  private readonly reports: Reports;
  private readonly executor: Executor;
  private readonly changed = new Bell();
  private readonly stopping = new AbortController();
  private readonly closed = new AbortController();
  private courier: Courier | undefined;
  private running: Promise<void> | undefined;
  private readonly logger: Logger;
  private mayStream: boolean;
  private isHurried = false;

  constructor(
    worker: WorkerInfo,
    functions: ReadonlyMap<string, FunctionDefinition>,
    surroundings: Surroundings,
    private readonly hooks: SessionHooks,
  ) {
    const { connection, numbers, logger } = surroundings;
    this.logger = logger;
    this.mayStream = surroundings.mayStream;
    const specs = [...functions].map(([name, definition]) => toSpec(name, definition));
    this.link = new Link(connection, worker, specs, logger);
    this.ledger = new Ledger(worker.maxConcurrency, () => {
      this.changed.ring();
      this.courier?.wake();
    });
    this.reports = new Reports(this.ledger, logger, () => this.courier?.wake());
    this.executor = new Executor(functions, numbers, this.ledger, this.reports, logger, () => {
      this.courier?.beatSoon();
    });
  }

  /**
   * Takes and executes tasks until `drain` has ended that.
   *
   * @throws {InvalidRequest} The service refuses the worker or one of its functions.
   */
  run(): Promise<void> {
    this.running = this.work();
    return this.running;
  }

  /**
   * Takes no more tasks, lets those under way end, reports, and closes.
   *
   * What has not ended after `graceMs` is given back, and told to stop.
   */
  async drain(graceMs: number): Promise<void> {
    this.stopping.abort();
    const noMoreTasks = this.courier?.drain();
    if (!(await this.until(() => this.ledger.isIdle, graceMs))) {
      for (const held of this.ledger.unsettled()) {
        this.logger.info("a task is given back", { taskId: held.task.taskId });
        this.executor.giveBack(held, SHUTTING_DOWN);
      }
      this.isHurried = false;
      await this.until(() => this.ledger.isIdle, CLEAN_UP_MS);
    }
    await within(noMoreTasks, FLUSH_MS);
    if (!(await this.until(() => this.ledger.isEmpty, FLUSH_MS))) {
      this.logger.error("results could not be reported", { count: this.ledger.all().length });
    }
    this.closed.abort();
    this.courier?.leave();
    await within(this.running, CLEAN_UP_MS);
    this.close();
  }

  /** Ends the grace now. */
  hurry(): void {
    this.isHurried = true;
    this.changed.ring();
  }

  /** Ends everything at once. */
  close(): void {
    this.stopping.abort();
    this.closed.abort();
    this.courier?.close();
    this.link.close();
  }

  private async work(): Promise<void> {
    let info = await this.discover();
    while (info !== undefined && !this.closed.signal.aborted) {
      const crew = this.crew(info);
      const streams = this.mayStream && info.capabilities.includes("worker-stream");
      this.courier = streams ? new Streaming(crew) : new Polling(crew);
      await this.courier.run();
      // It comes back only if the service does not know streams after all.
      this.mayStream = false;
      info = this.stopping.signal.aborted ? undefined : await this.discover();
    }
  }

  private crew(info: ServerInfo): Crew {
    const { link, ledger, executor, reports, logger } = this;
    executor.payloadBytesMax = info.maxPayloadBytes || executor.payloadBytesMax;
    const tasksMax = info.maxPollTasks || TASKS_MAX;
    return { link, ledger, executor, reports, logger, tasksMax, ...this.hooks };
  }

  /** Asks until the service answers, or the worker is to stop. */
  private async discover(): Promise<ServerInfo | undefined> {
    const backoff = new Backoff(100, 500);
    for (let isFirst = true; !this.stopping.signal.aborted; isFirst = false) {
      try {
        return await this.link.serverInfo();
      } catch (error) {
        if (error instanceof InvalidRequest) throw error;
        if (isFirst) this.logger.warn("not registered yet", { error });
        const atLeast = mayHelpLater(error) ? error.retryAfterMs : undefined;
        await pause(backoff.nextMs(atLeast), this.stopping.signal).catch(() => undefined);
      }
    }
    return undefined;
  }

  /** Waits for `condition`; returns false if it does not hold when `ms` have passed. */
  private async until(condition: () => boolean, ms: number): Promise<boolean> {
    const deadline = performance.now() + ms;
    while (!condition()) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0 || this.isHurried) return false;
      await this.changed.wait(leftMs);
    }
    return true;
  }
}

/** Waits for `promise`, however it ends, but not for longer than `ms`. */
async function within(promise: Promise<unknown> | undefined, ms: number): Promise<void> {
  const late = new AbortController();
  const settled = promise?.catch(() => undefined);
  const timeout = pause(ms, late.signal).catch(() => undefined);
  await Promise.race([settled ?? Promise.resolve(), timeout]);
  late.abort();
}
