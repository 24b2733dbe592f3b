/**
 * The worker protocol over one stream.
 *
 * What has to be said is not queued but composed when the transport is ready for the next
 * message: everything that has gathered travels together. So a lone result leaves at once,
 * and the busier the worker, the fuller the messages.
 *
 * A stream that breaks off loses nothing. What it had not acknowledged goes back, and the
 * next stream begins with all tasks held, for which the service waits two seconds.
 */
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { Backoff, pause } from "../backoff.js";
import { Bell, Gate } from "../bell.js";
import { InvalidRequest } from "../errors.js";
import {
  type Acknowledgement,
  type WorkStreamRequest,
  WorkStreamRequestSchema,
  type WorkStreamResponse,
} from "../gen/starflow/v1/worker_service_pb.js";
import { mayHelpLater } from "../status.js";
import { type Courier, type Crew, SHUTTING_DOWN } from "./courier.js";
import type { HeldTask } from "./ledger.js";
import { arrived, heartbeats, type News, type Report } from "./reports.js";

// A restarted server holds back the tasks that workers had for a second, and who comes
// later finds them given away.
const PAUSE_MS_MAX = 500;

/** Opens one stream after another. */
export class Streaming implements Courier {
  private readonly ended = new AbortController();
  private readonly drained = new Gate();
  private readonly backoff = new Backoff(50, PAUSE_MS_MAX);
  private stream: OneStream | undefined;
  private isDraining = false;
  private wasWelcome = false;

  constructor(private readonly crew: Crew) {}

  async run(): Promise<void> {
    while (!this.ended.signal.aborted) {
      const began = performance.now();
      const error = await this.runOnce();
      if (this.ended.signal.aborted) return;
      if (error instanceof InvalidRequest) {
        if (error.status === "UNIMPLEMENTED") return;
        if (!this.wasWelcome) throw error;
        this.crew.logger.error("the stream was refused", { error });
      }
      // Only a stream that has lasted is a success.
      if (performance.now() - began > 2 * PAUSE_MS_MAX) this.backoff.reset();
      const atLeast = mayHelpLater(error) ? error.retryAfterMs : undefined;
      await pause(this.backoff.nextMs(atLeast), this.ended.signal).catch(() => undefined);
    }
  }

  async drain(): Promise<void> {
    this.isDraining = true;
    if (this.stream === undefined) return;
    this.stream.drain();
    await this.drained.opened;
  }

  wake(): void {
    this.stream?.wake();
  }

  beatSoon(): void {
    this.stream?.beatSoon();
  }

  leave(): void {
    this.drained.open();
    this.ended.abort();
    this.stream?.leave();
  }

  close(): void {
    this.leave();
    this.stream?.close();
  }

  /** Returns why the stream ended; undefined if the server ended it in peace. */
  private async runOnce(): Promise<unknown> {
    const stream = new OneStream(this.crew, this.isDraining, {
      onWelcome: () => {
        this.wasWelcome = true;
        this.crew.onRegistered();
      },
      onDrained: this.drained.open,
    });
    this.stream = stream;
    try {
      await stream.run();
      return undefined;
    } catch (error) {
      return error;
    } finally {
      this.stream = undefined;
      // What a broken stream has not brought is handed to somebody else.
      if (this.isDraining) this.drained.open();
    }
  }
}

interface Hooks {
  onWelcome(): void;
  /** Called when no more tasks can come on this stream, or any after it. */
  onDrained(): void;
}

/** What one message said, until it is acknowledged. */
interface Sent {
  readonly batch: readonly Report[];
  readonly news: News;
  readonly drain: boolean;
}

/** One stream, from its hello to its end. */
class OneStream {
  private readonly bell = new Bell();
  private readonly ended = new AbortController();
  private readonly unacknowledged = new Map<number, Sent>();
  // Progress that was told on this stream.
  private readonly told: News = new Map();
  private silence: NodeJS.Timeout | undefined;
  private sequence = 0;
  // Tasks that the service may still send.
  private credit = 0;
  private nextBeatAt = 0;
  private holdUntil = 0;
  private saidDrain = false;
  private isLeaving = false;
  private isSilent = false;

  constructor(
    private readonly crew: Crew,
    private isDraining: boolean,
    private readonly hooks: Hooks,
  ) {}

  /** Works until the stream ends, and throws why if it was broken off. */
  async run(): Promise<void> {
    this.listen();
    try {
      const responses = this.crew.link.stream(this.requests(), this.ended.signal);
      for await (const response of responses) {
        this.receive(response);
        this.listen();
      }
    } finally {
      this.close();
      clearTimeout(this.silence);
      const lost = [...this.unacknowledged.values()].flatMap((sent) => sent.batch);
      this.crew.reports.putBack(lost);
    }
  }

  drain(): void {
    this.isDraining = true;
    this.bell.ring();
  }

  wake(): void {
    this.bell.ring();
  }

  beatSoon(): void {
    this.nextBeatAt = 0;
    this.bell.ring();
  }

  /** Says the rest, and closes our side; the service then ends the stream. */
  leave(): void {
    this.isLeaving = true;
    this.bell.ring();
  }

  close(): void {
    this.ended.abort();
    this.bell.ring();
  }

  private async *requests(): AsyncGenerator<WorkStreamRequest, void, undefined> {
    const message = this.compose() ?? create(WorkStreamRequestSchema);
    message.hello = this.crew.link.hello;
    yield message;
    while (!this.ended.signal.aborted) {
      const message = this.compose();
      if (message !== undefined) yield message;
      else if (this.isLeaving) return;
      else await this.bell.wait(this.restMs());
    }
  }

  /** Returns what there is to say now; undefined if nothing. */
  private compose(): WorkStreamRequest | undefined {
    const first = this.progressFirst();
    const isBeat = first.length > 0 || performance.now() >= this.nextBeatAt;
    const before: News = new Map(this.told);
    const tasks = isBeat ? heartbeats(first.length > 0 ? first : this.beaten(), this.told) : [];
    const news: News = new Map(
      [...this.told].filter(([token, each]) => before.get(token) !== each),
    );
    // Not both in one message, which might become too large.
    const batch = news.size > 0 || this.isHeld ? [] : this.crew.reports.take();
    const credit = this.newCredit();
    const drain = this.isDraining && !this.saidDrain;
    this.saidDrain ||= drain;
    if (!isBeat && batch.length === 0 && credit === 0 && !drain) return undefined;
    const sequence = this.remember({ batch, news, drain });
    const results = batch.map((report) => report.result);
    return create(WorkStreamRequestSchema, { sequence, results, tasks, credit, drain });
  }

  /** Returns tasks whose progress the service has to know before their results. */
  private progressFirst(): HeldTask[] {
    return this.crew.reports.newsFirst().filter((held) => {
      return this.told.get(held.token)?.text !== held.context.unsentProgress();
    });
  }

  private beaten(): HeldTask[] {
    this.nextBeatAt = performance.now() + this.crew.link.heartbeatMs;
    return this.crew.ledger.all();
  }

  private newCredit(): number {
    const { ledger, tasksMax } = this.crew;
    const free = Math.min(ledger.free(), tasksMax) - this.credit;
    if (this.isDraining || free <= 0) return 0;
    this.credit += free;
    return free;
  }

  private remember(sent: Sent): number {
    if (sent.batch.length === 0 && sent.news.size === 0 && !sent.drain) return 0;
    this.sequence++;
    this.unacknowledged.set(this.sequence, sent);
    return this.sequence;
  }

  private receive(response: WorkStreamResponse): void {
    const { welcome, acknowledgements, tasks, directives } = response;
    if (welcome !== undefined) {
      this.crew.link.welcomed(welcome);
      // Only now the interval is known.
      const first = performance.now() + this.crew.link.heartbeatMs;
      this.nextBeatAt = Math.min(this.nextBeatAt, first);
      this.bell.ring();
      this.hooks.onWelcome();
    }
    this.credit -= tasks.length;
    if (this.isDraining) this.crew.executor.release(tasks, SHUTTING_DOWN);
    else this.crew.executor.start(tasks);
    for (const each of acknowledgements) this.acknowledged(each);
    this.crew.executor.obey(directives);
    if (response.drained) this.crew.onDrained();
  }

  private acknowledged({ sequence, exceptions, error }: Acknowledgement): void {
    const sent = this.unacknowledged.get(sequence);
    if (sent === undefined) return;
    this.unacknowledged.delete(sequence);
    if (error !== undefined && error.code !== Code.InvalidArgument) {
      this.crew.logger.warn("results are sent again", { reason: error.message });
      this.crew.reports.putBack(sent.batch);
      this.holdUntil = performance.now() + PAUSE_MS_MAX;
    } else {
      // Somebody's progress costs nobody's result.
      if (error) this.crew.logger.error("a progress is lost", { reason: error.message });
      this.crew.reports.answered(sent.batch, exceptions);
    }
    arrived(sent.news);
    for (const token of sent.news.keys()) this.told.delete(token);
    if (sent.drain) this.hooks.onDrained();
    this.bell.ring();
  }

  /** Whether results have to wait, because the service could not store them just now. */
  private get isHeld(): boolean {
    return performance.now() < this.holdUntil;
  }

  private restMs(): number {
    const next = this.isHeld ? Math.min(this.holdUntil, this.nextBeatAt) : this.nextBeatAt;
    return Math.max(next - performance.now(), 0);
  }

  private giveUp(): void {
    this.crew.logger.warn("the service has fallen silent");
    this.close();
    this.crew.link.reset();
  }

  /** Waits anew for the service to fall silent, which speaks every heartbeat interval. */
  private listen(): void {
    clearTimeout(this.silence);
    this.isSilent = false;
    this.silence = setTimeout(() => {
      this.isSilent = true;
      // What came while a function held the event loop is read before that.
      setImmediate(() => this.isSilent && this.giveUp());
    }, 2 * this.crew.link.heartbeatMs);
  }
}
