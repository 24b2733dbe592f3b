/** The worker protocol by single requests: Poll, CompleteTasks, Heartbeat. */
import { randomUUID } from "node:crypto";
import { Backoff, pause } from "../backoff.js";
import { Bell, Gate } from "../bell.js";
import { InvalidRequest, Unavailable, WorkerNotRegistered } from "../errors.js";
import type {
  Completion,
  HeartbeatResponse,
  PollResponse,
} from "../gen/starflow/v1/worker_service_pb.js";
import { mayHelpLater } from "../status.js";
import { type Courier, type Crew, SHUTTING_DOWN } from "./courier.js";
import type { OpenPoll } from "./link.js";
import { arrived, heartbeats, type News, type Report } from "./reports.js";

const POLL_MS = 20_000;
// A restarted server holds back the tasks that workers had for a second, and who comes
// later finds them given away.
const PAUSE_MS_MAX = 500;

/**
 * Three loops: one polls, one reports, and one keeps a heartbeat waiting at the service,
 * whose breaking off tells of our death.
 */
export class Polling implements Courier {
  private readonly toPoll = new Bell();
  private readonly toReport = new Bell();
  private readonly ended = new AbortController();
  private readonly polls = new AbortController();
  private readonly polled = new Gate();
  // A poll whose answer has not come.
  private open: OpenPoll | undefined;

  constructor(private readonly crew: Crew) {}

  async run(): Promise<void> {
    try {
      await this.register();
      await Promise.all([this.poll(), this.report(), this.stay()]);
    } catch (error) {
      if (!this.isEnded) throw error;
    } finally {
      this.polled.open();
    }
  }

  async drain(): Promise<void> {
    this.polls.abort();
    this.toPoll.ring();
    // A poll that breaks off may be its worker's death. What is still under way must not
    // be given to somebody else because of that.
    this.beatSoon();
    await this.polled.opened;
  }

  wake(): void {
    this.toPoll.ring();
    this.toReport.ring();
  }

  beatSoon(): void {
    this.beat().catch((error: unknown) => this.refused("heartbeat", error));
  }

  leave(): void {
    this.close();
  }

  close(): void {
    this.polls.abort();
    this.ended.abort();
    this.wake();
  }

  private get isEnded(): boolean {
    return this.ended.signal.aborted;
  }

  private get isDraining(): boolean {
    return this.polls.signal.aborted;
  }

  private async register(): Promise<void> {
    const backoff = new Backoff(100, PAUSE_MS_MAX);
    for (;;) {
      try {
        await this.crew.link.register();
        this.crew.onRegistered();
        return;
      } catch (error) {
        if (error instanceof InvalidRequest) throw error;
        await this.pause(backoff, error);
      }
    }
  }

  private async poll(): Promise<void> {
    const backoff = new Backoff(100, PAUSE_MS_MAX);
    while (!this.isDraining) {
      const slots = Math.min(this.crew.ledger.free(), this.crew.tasksMax);
      if (slots <= 0 && this.open === undefined) {
        await this.toPoll.wait();
        continue;
      }
      this.open ??= { pollId: randomUUID(), maxTasks: slots };
      try {
        const response = await this.crew.link.poll(this.open, POLL_MS, this.polls.signal);
        await this.answered(response, backoff);
      } catch (error) {
        if (this.isDraining) break;
        await this.failed(error, backoff);
      }
    }
    await this.giveBack();
    this.polled.open();
  }

  private async answered(response: PollResponse, backoff: Backoff): Promise<void> {
    const { tasks, draining, drained } = response;
    this.open = undefined;
    this.crew.executor.start(tasks);
    if (drained) this.crew.onDrained();
    if (draining) await this.pause(backoff);
    else backoff.reset();
  }

  private async failed(error: unknown, backoff: Backoff): Promise<void> {
    if (error instanceof WorkerNotRegistered) {
      await this.register();
    } else {
      this.refused("poll", error);
    }
    // Whoever holds tasks must say so now: a server takes a poll that broke off for its
    // worker's death, and one that was restarted waits only so long.
    this.beatSoon();
    await this.pause(backoff, error);
  }

  /** Gives back what the poll has brought whose answer was not waited for. */
  private async giveBack(): Promise<void> {
    if (this.open === undefined) return;
    try {
      const { tasks } = await this.crew.link.poll(this.open, 0, this.ended.signal);
      this.crew.executor.release(tasks, SHUTTING_DOWN);
    } catch (error) {
      this.crew.logger.info("tasks of the last poll may wait for their lease", { error });
    }
  }

  private async report(): Promise<void> {
    const { reports } = this.crew;
    while (!this.isEnded) {
      await this.toReport.wait();
      while (!reports.isEmpty && !this.isEnded) await this.complete(reports.take());
    }
  }

  private async complete(batch: Report[]): Promise<void> {
    const backoff = new Backoff(100, PAUSE_MS_MAX);
    while (!this.isEnded) {
      try {
        this.crew.reports.answered(batch, await this.send(batch));
        return;
      } catch (error) {
        if (!mayHelpLater(error)) return this.completeApart(batch, error);
        await this.pause(backoff, error);
      }
    }
  }

  private async send(batch: Report[]): Promise<Completion[]> {
    const { link } = this.crew;
    // The next attempt is to see the progress of this one, which only a heartbeat can
    // carry, and only while the task is held. One may not carry it all.
    while (
      batch.some(({ held, result }) => {
        const ends =
          result.outcome.case === "output" || result.outcome.case === "waitForSignal";
        return !ends && held.context.unsentProgress() !== undefined;
      })
    ) {
      await this.beat();
    }
    try {
      return await link.complete(batch.map((report) => report.result));
    } catch (error) {
      if (!(error instanceof WorkerNotRegistered)) throw error;
      await link.register();
      return link.complete(batch.map((report) => report.result));
    }
  }

  /** Finds the result for which a whole batch was refused, and gives up on it. */
  private async completeApart(batch: Report[], error: unknown): Promise<void> {
    if (batch.length === 1) {
      this.crew.reports.drop(batch, String(error));
      return;
    }
    const middle = Math.ceil(batch.length / 2);
    await this.complete(batch.slice(0, middle));
    await this.complete(batch.slice(middle));
  }

  /** Sends one heartbeat with all tasks held and their news. */
  private async beat(waitMs = 0): Promise<void> {
    const { link, ledger, executor } = this.crew;
    const news: News = new Map();
    // First those whose results wait for it.
    const held = ledger.all().sort((a, b) => Number(b.settled) - Number(a.settled));
    const tasks = heartbeats(held, news);
    let response: HeartbeatResponse;
    try {
      response = await link.beat(tasks, waitMs, this.ended.signal);
    } catch (error) {
      if (!(error instanceof WorkerNotRegistered)) throw error;
      await link.register();
      response = await link.beat(tasks, 0, this.ended.signal);
    }
    arrived(news);
    executor.obey(response.directives);
    if (response.drained) this.crew.onDrained();
  }

  /** Keeps a heartbeat waiting. */
  private async stay(): Promise<void> {
    const backoff = new Backoff(100, PAUSE_MS_MAX);
    while (!this.isEnded) {
      const began = performance.now();
      try {
        await this.beat(this.crew.link.heartbeatMs);
        backoff.reset();
        // One that does not hold answers back is not asked again sooner.
        const early = performance.now() - began < this.crew.link.heartbeatMs / 2;
        if (early) await pause(this.crew.link.heartbeatMs / 2, this.ended.signal);
      } catch (error) {
        if (this.isEnded) return;
        if (error instanceof Unavailable && error.status === "DEADLINE_EXCEEDED") {
          this.crew.link.reset();
        }
        this.refused("heartbeat", error);
        await this.pause(backoff, error);
      }
    }
  }

  private refused(what: string, error: unknown): void {
    if (this.isEnded || mayHelpLater(error)) return;
    this.crew.logger.error(`a ${what} was refused`, { error });
  }

  private async pause(backoff: Backoff, error?: unknown): Promise<void> {
    const atLeast = mayHelpLater(error) ? error.retryAfterMs : undefined;
    await pause(backoff.nextMs(atLeast), this.ended.signal);
  }
}
