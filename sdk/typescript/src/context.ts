/** What a function gets to know about its task, and what it can say about it. */
import { ConversionError, TaskAbandoned } from "./errors.js";
import type { Failure } from "./failure.js";
import * as failure from "./failure.js";
import type { Task } from "./gen/starflow/v1/worker_service_pb.js";
import { decode, encode, type Numbers, sizeBytes } from "./json.js";
import { bind, type Logger } from "./log.js";
import { date, payloadText } from "./wire.js";

/** Returned by a function: the call goes on when somebody signals it. */
export class WaitForSignal {
  constructor(readonly timeoutMs: number | undefined) {}
}

/**
 * Returns what a function returns in order to wait for a signal to `ctx.signalId`.
 *
 * The signal's content becomes the result of the call; after `timeoutMs` without one the
 * call fails with a TIMEOUT failure.
 */
export function waitForSignal(options: { timeoutMs?: number } = {}): WaitForSignal {
  return new WaitForSignal(options.timeoutMs);
}

/** What the worker does for a context. */
export interface Surroundings {
  readonly numbers: Numbers;
  readonly logger: Logger;
  readonly payloadBytesMax: number;
  beatSoon(): void;
}

/** One task: one attempt of one call. */
export class TaskContext {
  /** The run that called. */
  readonly runId: string;
  /**
   * Names the call, the same for all its attempts.
   *
   * Use it as the idempotency key towards other systems: a worker that dies after it did
   * the work, and before it said so, is followed by another attempt.
   */
  readonly taskId: string;
  /** The dotted name that the script called. */
  readonly function: string;
  /** The number of this attempt, from 1. */
  readonly attempt: number;
  /** The version of the CALL event in the run's log, and when it was recorded. */
  readonly callVersion: number;
  readonly callTime: Date | undefined;
  /**
   * The signal to hand to the outside world before returning `waitForSignal()`.
   *
   * It is valid already, and the same for all attempts; a signal that comes before the
   * function has returned is kept.
   */
  readonly signalId: string;
  /** What the run was started with, such as `traceparent`. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * Aborted when to stop: its reason is a `TaskCancelled` if nobody waits for the result,
   * or another `TaskAbandoned` if the task is somebody else's or the worker ends.
   */
  readonly abortSignal: AbortSignal;

  private readonly stop = new AbortController();
  private unsent: string | undefined;

  constructor(
    private readonly task: Task,
    private readonly around: Surroundings,
  ) {
    this.runId = task.runId;
    this.taskId = task.taskId;
    this.function = task.function;
    this.attempt = task.attempt;
    this.callVersion = task.callVersion;
    this.callTime = task.callTime && date(task.callTime);
    this.signalId = task.signalId;
    this.headers = task.headers;
    this.abortSignal = this.stop.signal;
  }

  /** The last progress that an earlier attempt reported; undefined if none did. */
  get lastProgress(): unknown {
    const { lastProgress } = this.task;
    return lastProgress && decode(payloadText(lastProgress), this.around.numbers);
  }

  /** Why the last attempt failed, if one did. */
  get lastFailure(): Failure | undefined {
    const { lastFailure } = this.task;
    return lastFailure && failure.fromMessage(lastFailure, this.around.numbers);
  }

  /** A logger whose messages carry runId, taskId, function and attempt. */
  get log(): Logger {
    const { runId, taskId, attempt } = this;
    return bind(this.around.logger, { runId, taskId, function: this.function, attempt });
  }

  /**
   * Records how far this attempt is; the next attempt sees it as `lastProgress`.
   *
   * It travels with the next heartbeat, and only the newest one does, so that this may be
   * called often.
   *
   * @throws {ConversionError} The value has no JSON form, or is too large.
   */
  progress(value: unknown): void {
    const text = encode(value, this.around.numbers);
    const size = sizeBytes(text);
    if (size > this.around.payloadBytesMax) {
      throw new ConversionError(`${size} bytes are more than ${this.around.payloadBytesMax}`);
    }
    this.unsent = text;
  }

  /**
   * Tells the service now, and not at the next heartbeat, that this goes on.
   *
   * Leases are renewed without it. It is for a function that wants a progress recorded, or
   * to hear sooner whether it should stop.
   */
  heartbeat(value?: unknown): void {
    if (value !== undefined) this.progress(value);
    this.around.beatSoon();
  }

  /** @internal Lets the function know that it should stop. */
  abandon(reason: TaskAbandoned): void {
    this.stop.abort(reason);
  }

  /** @internal Returns the progress that the service has yet to be told, as JSON text. */
  unsentProgress(): string | undefined {
    return this.unsent;
  }

  /** @internal Notes that the service knows the progress. */
  progressSent(text: string): void {
    // A newer progress may have come while the older one travelled.
    if (this.unsent === text) this.unsent = undefined;
  }
}
