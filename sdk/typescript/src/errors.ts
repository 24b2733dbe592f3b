/**
 * What can go wrong, as a tree.
 *
 * Caught by those who start, watch and signal runs:
 *
 * - StarflowError
 *   - RunFailed             the run ended with a failure
 *     - RunCancelled        because somebody asked it to end
 *   - RunYielded            the run waits for a signal
 *   - RunPaused             the service holds the run back
 *   - ResultTimeout         the run has not finished in time
 *   - ConversionError       a value has no JSON form, or not the form asked for
 *   - RequestError          the service refused a request, or could not be reached
 *     - InvalidRequest      sending it again cannot help
 *       - PayloadInvalid, TooLarge, ScriptInvalid, FunctionUnknown
 *     - NotFound
 *       - RunNotFound, ScriptNotFound
 *     - Conflict            the id is taken, by something else
 *       - RunIdConflict, RunDeleted, SignalConflict
 *     - NotPossible         not in the state that the run or worker is in
 *       - RunFinished, RunNotFinished, SignalNotExpected, WorkerNotRegistered
 *       - VersionOutOfRange
 *     - RateLimited         later
 *       - SignalsFull
 *     - Unavailable         later, or elsewhere
 *     - ServiceFault        a defect of the service
 *
 * Thrown by functions that a worker executes:
 *
 * - FunctionError
 *   - PermanentError        another attempt cannot help
 *   - RetryableError        another attempt may help
 *
 * The reason of an aborted `ctx.abortSignal`:
 *
 * - TaskAbandoned           the attempt belongs to somebody else, or the worker ends
 *   - TaskCancelled         nobody waits for the result any more
 */
import type { Failure } from "./failure.js";

/** The base of every error that the client side throws on purpose. */
export class StarflowError extends Error {
  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}

/** The run ended with a failure, which says why. */
export class RunFailed extends StarflowError {
  readonly code: string;
  readonly details: unknown;

  constructor(
    readonly runId: string,
    readonly failure: Failure,
    cameTo = "failed",
  ) {
    const { code, message } = failure;
    super(`run ${runId} ${cameTo}: ${message ? `${code}: ${message}` : code}`);
    this.code = code;
    this.details = failure.details;
  }
}

/** The run ended because somebody asked it to; the failure's message says why. */
export class RunCancelled extends RunFailed {
  constructor(runId: string, failure: Failure) {
    super(runId, failure, "was cancelled");
  }
}

/** The run waits for signals; only `Client.signal` can move it on. */
export class RunYielded extends StarflowError {
  /** The signal id that the run has waited for longest; empty if for none. */
  readonly signalId: string;
  /** The signal name that the run has waited for longest; empty if for none. */
  readonly signalName: string;

  constructor(
    readonly runId: string,
    readonly signalIds: readonly string[],
    readonly signalNames: readonly string[],
  ) {
    super(`run ${runId} waits for the signal ${[...signalIds, ...signalNames].join(", ")}`);
    this.signalId = signalIds[0] ?? "";
    this.signalName = signalNames[0] ?? "";
  }
}

/** The service holds the run back until somebody mends the reason. */
export class RunPaused extends StarflowError {
  constructor(
    readonly runId: string,
    readonly reason: string,
    readonly pauseMessage: string,
  ) {
    super(`run ${runId} is paused (${reason}): ${pauseMessage}`);
  }
}

/** The run has not finished in the time given. It goes on all the same. */
export class ResultTimeout extends StarflowError {
  constructor(
    readonly runId: string,
    readonly state: string,
    timeoutMs: number,
  ) {
    super(`run ${runId} is ${state} after ${timeoutMs} ms`);
  }
}

/** A value cannot be written as JSON, or is not what was asked for. */
export class ConversionError extends StarflowError {
  constructor(
    readonly problem: string,
    readonly path = "",
  ) {
    super(`${path || "the value"}: ${problem}`);
  }
}

/** What is known of a refused request beside its message. */
export interface RequestErrorFacts {
  /** The name of the gRPC status, such as NOT_FOUND. */
  status?: string;
  /** A name out of starflow.v1.ErrorReason, such as RUN_NOT_FOUND. */
  reason?: string;
  metadata?: Readonly<Record<string, string>>;
  retryAfterMs?: number | undefined;
}

/** The service refused a request, or did not answer it. */
export class RequestError extends StarflowError {
  readonly status: string;
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;

  constructor(message: string, facts: RequestErrorFacts = {}) {
    super(message);
    this.status = facts.status ?? "UNKNOWN";
    this.reason = facts.reason ?? "";
    this.metadata = facts.metadata ?? {};
    this.retryAfterMs = facts.retryAfterMs;
  }
}

/** The request is wrong; sending it again cannot help. */
export class InvalidRequest extends RequestError {}

/** A payload is not JSON as the service defines it. */
export class PayloadInvalid extends InvalidRequest {}

/** A payload, a script or a request is over a limit; see `Client.serverInfo`. */
export class TooLarge extends InvalidRequest {}

/** The script does not parse or has no `main(ctx, input)`. */
export class ScriptInvalid extends InvalidRequest {}

/** The script calls functions that no worker ever registered. */
export class FunctionUnknown extends InvalidRequest {}

/** There is no such thing. */
export class NotFound extends RequestError {}

/** There is no such run. */
export class RunNotFound extends NotFound {}

/** No stored script has this hash; send the text. */
export class ScriptNotFound extends NotFound {}

/** The id is taken by something else. */
export class Conflict extends RequestError {}

/** The run id belongs to a run with another script or input. */
export class RunIdConflict extends Conflict {}

/** A run of this id was deleted not long ago. */
export class RunDeleted extends Conflict {}

/** The signal was delivered before, with another content. */
export class SignalConflict extends Conflict {}

/** Not in the state that the run or the worker is in. */
export class NotPossible extends RequestError {}

/** The run has finished. */
export class RunFinished extends NotPossible {}

/** The run has not finished. */
export class RunNotFinished extends NotPossible {}

/** The run never had this signal id, or does not wait for it now. */
export class SignalNotExpected extends NotPossible {}

/** The service does not know the worker (any more); `Worker` registers again. */
export class WorkerNotRegistered extends NotPossible {}

/** The version lies past the end of the log. */
export class VersionOutOfRange extends NotPossible {}

/** A quota or a rate limit; try later. */
export class RateLimited extends RequestError {}

/** The run holds too many signals by name that its script has not taken. */
export class SignalsFull extends RateLimited {}

/** The service cannot be reached or cannot answer now; try later. */
export class Unavailable extends RequestError {}

/** A defect of the service. The message holds an id to look for in its log. */
export class ServiceFault extends RequestError {}

/** What a function can say about its failure, beside a message. */
export interface FunctionErrorOptions extends ErrorOptions {
  /** Machine-readable, such as CARD_DECLINED; the name of the error unless given. */
  code?: string;
  /** Structured, for the script. */
  details?: unknown;
}

/** The base of the errors by which a function says how it failed. */
export class FunctionError extends Error {
  readonly code: string;
  readonly details: unknown;

  constructor(message = "", options: FunctionErrorOptions = {}) {
    super(message, options);
    this.name = new.target.name;
    this.code = options.code ?? "";
    this.details = options.details;
  }
}

/** Thrown by a function: another attempt cannot help, whatever the retry policy. */
export class PermanentError extends FunctionError {}

/** Thrown by a function: another attempt may help, after `delayMs` if given. */
export class RetryableError extends FunctionError {
  readonly delayMs: number | undefined;

  constructor(message = "", options: FunctionErrorOptions & { delayMs?: number } = {}) {
    super(message, options);
    this.delayMs = options.delayMs;
  }
}

/** The task belongs to somebody else now, or its worker ends: stop. */
export class TaskAbandoned extends Error {
  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}

/** Nobody waits for the task any more: its run was cancelled, or gave the call up. */
export class TaskCancelled extends TaskAbandoned {}
