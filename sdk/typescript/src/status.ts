/** From gRPC errors to the errors of this package: the one place that knows both. */
import { Code, ConnectError } from "@connectrpc/connect";
import * as errors from "./errors.js";
import { ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { durationMs } from "./wire.js";

type RequestErrorClass = new (
  message: string,
  facts: errors.RequestErrorFacts,
) => errors.RequestError;

const DOMAIN = "starflow.v1";
/** Every reason that the service gives. */
export const BY_REASON: Readonly<Record<string, RequestErrorClass>> = {
  FIELD_INVALID: errors.InvalidRequest,
  PAYLOAD_INVALID: errors.PayloadInvalid,
  TOO_LARGE: errors.TooLarge,
  SCRIPT_INVALID: errors.ScriptInvalid,
  FUNCTION_UNKNOWN: errors.FunctionUnknown,
  RUN_NOT_FOUND: errors.RunNotFound,
  SCRIPT_NOT_FOUND: errors.ScriptNotFound,
  RUN_ID_CONFLICT: errors.RunIdConflict,
  RUN_DELETED: errors.RunDeleted,
  SIGNAL_CONFLICT: errors.SignalConflict,
  RUN_FINISHED: errors.RunFinished,
  RUN_NOT_FINISHED: errors.RunNotFinished,
  SIGNAL_NOT_EXPECTED: errors.SignalNotExpected,
  WORKER_NOT_REGISTERED: errors.WorkerNotRegistered,
  VERSION_OUT_OF_RANGE: errors.VersionOutOfRange,
  RATE_LIMITED: errors.RateLimited,
  SIGNALS_FULL: errors.SignalsFull,
  STORE_UNAVAILABLE: errors.Unavailable,
  SERVER_DRAINING: errors.Unavailable,
  RUN_MOVING: errors.Unavailable,
  INTERNAL: errors.ServiceFault,
};
// Reasons come first; a newer server may give one that this release does not know.
const BY_STATUS: Partial<Record<Code, RequestErrorClass>> = {
  [Code.InvalidArgument]: errors.InvalidRequest,
  [Code.Unauthenticated]: errors.InvalidRequest,
  [Code.PermissionDenied]: errors.InvalidRequest,
  [Code.Unimplemented]: errors.InvalidRequest,
  [Code.NotFound]: errors.NotFound,
  [Code.AlreadyExists]: errors.Conflict,
  [Code.FailedPrecondition]: errors.NotPossible,
  [Code.OutOfRange]: errors.NotPossible,
  [Code.ResourceExhausted]: errors.RateLimited,
  [Code.Unavailable]: errors.Unavailable,
  [Code.Aborted]: errors.Unavailable,
  // The service never ends a call so: it did not answer in time, or something on the
  // way cut the call off.
  [Code.DeadlineExceeded]: errors.Unavailable,
  [Code.Canceled]: errors.Unavailable,
};

/** Returns the error for a failed call to `address`. */
export function requestError(cause: unknown, address: string): errors.RequestError {
  const error = ConnectError.from(cause);
  const status = statusName(error.code);
  const info = error.findDetails(ErrorInfoSchema).find((each) => each.domain === DOMAIN);
  const text = error.rawMessage || status;
  if (info === undefined) return unexplained(error, status, text, address);
  const known = BY_REASON[info.reason] ?? BY_STATUS[error.code] ?? errors.ServiceFault;
  const [retry] = error.findDetails(RetryInfoSchema);
  return new known(text, {
    status,
    reason: info.reason,
    metadata: { ...info.metadata },
    retryAfterMs: retry && durationMs(retry.retryDelay),
  });
}

/** Returns the error for an answer without a reason: not the service itself gave it. */
function unexplained(
  error: ConnectError,
  status: string,
  text: string,
  address: string,
): errors.RequestError {
  // gRPC answers a message over 4 MiB like a rate limit, which invites to try again for
  // ever; only the text tells them apart.
  if (error.code === Code.ResourceExhausted && /larger than/.test(text)) {
    return new errors.TooLarge(`over gRPC's message limit: ${text}`, { status });
  }
  // The service gives details with every error of its own, so this is a connection that
  // broke in the middle of a call.
  const broken = error.code === Code.Internal || error.code === Code.Unknown;
  const known = broken ? errors.Unavailable : BY_STATUS[error.code];
  if (known !== errors.Unavailable) {
    return new (known ?? errors.ServiceFault)(text, { status });
  }
  return new errors.Unavailable(`cannot reach ${address}: ${text}`, { status });
}

function statusName(code: Code): string {
  if (code === Code.Canceled) return "CANCELLED";
  return Code[code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}

/** Returns whether the same request may be answered another time. */
export function mayHelpLater(error: unknown): error is errors.RequestError {
  return error instanceof errors.Unavailable || error instanceof errors.RateLimited;
}
