/** Failures: why a call or a run did not succeed, as data. */
import { create } from "@bufbuild/protobuf";
import { ConversionError, FunctionError, PermanentError, RetryableError } from "./errors.js";
import {
  FailureKind,
  FailureSchema,
  type Failure as Message,
  Retryability,
} from "./gen/starflow/v1/failure_pb.js";
import { type Numbers, decode, encode, sizeBytes } from "./json.js";
import { durationMs, enumName, payload, payloadText, toDuration } from "./wire.js";

const MESSAGE_BYTES_MAX = 4 * 1024;
const STACK_BYTES_MAX = 16 * 1024;
const DETAILS_BYTES_MAX = 64 * 1024;
const CODE_LENGTH_MAX = 63;

/** Why a call or a run did not succeed. */
export interface Failure {
  /** Stable and machine-readable, such as CARD_DECLINED. */
  readonly code: string;
  readonly message: string;
  /** APPLICATION, TIMEOUT, CANCELLED, WORKER_LOST, SCRIPT or INTERNAL. */
  readonly kind: string;
  /** Whether another attempt makes sense; undefined leaves it to the retry policy. */
  readonly retryable?: boolean;
  readonly retryDelayMs?: number;
  readonly details?: unknown;
  readonly stackTrace?: string;
}

/** A failure to send; only the code is needed. */
export type FailureInit = Partial<Omit<Failure, "kind">> & Pick<Failure, "code">;

/** Returns the failure that the service sent. */
export function fromMessage(message: Message, numbers: Numbers = "plain"): Failure {
  const kind = message.kind || FailureKind.APPLICATION;
  const { details, retryDelay, retryability, stackTrace } = message;
  return {
    code: message.code,
    message: message.message,
    kind: enumName(FailureKind, kind),
    ...(retryability && { retryable: retryability === Retryability.RETRYABLE }),
    ...(retryDelay && { retryDelayMs: durationMs(retryDelay) }),
    ...(details && { details: decode(payloadText(details), numbers) }),
    ...(stackTrace && { stackTrace }),
  };
}

/**
 * Returns `failure` for the wire; its texts are cut to what the service keeps.
 *
 * @throws {ConversionError} The details have no JSON form.
 */
export function toMessage(failure: FailureInit, numbers: Numbers = "plain"): Message {
  const { details, retryable, retryDelayMs } = failure;
  const permanent = retryable === false ? Retryability.PERMANENT : Retryability.UNSPECIFIED;
  return create(FailureSchema, {
    code: cleanCode(failure.code),
    message: clip(failure.message ?? "", MESSAGE_BYTES_MAX),
    retryability: retryable ? Retryability.RETRYABLE : permanent,
    stackTrace: clip(failure.stackTrace ?? "", STACK_BYTES_MAX),
    ...(retryDelayMs !== undefined && { retryDelay: toDuration(retryDelayMs) }),
    ...(details !== undefined && { details: payload(encode(details, numbers)) }),
  });
}

/**
 * Returns what a function that threw `error` says.
 *
 * An ordinary error leaves it to the retry policy whether to try again; only
 * `PermanentError` and `RetryableError` overrule that.
 */
export function fromError(error: unknown, numbers: Numbers): Message {
  const { code, text, stackTrace } = described(error);
  const failure = { code, message: text, stackTrace };
  if (!(error instanceof FunctionError)) return toMessage(failure);
  const said = {
    ...failure,
    code: error.code || code,
    ...(error instanceof PermanentError && { retryable: false }),
    ...(error instanceof RetryableError && { retryable: true }),
    ...(error instanceof RetryableError &&
      error.delayMs !== undefined && { retryDelayMs: error.delayMs }),
  };
  const lost = lostDetails(error.details, numbers);
  if (lost) return toMessage({ ...said, message: `${text} (details left out: ${lost})` });
  return toMessage({ ...said, details: error.details }, numbers);
}

/** Returns a failure that the SDK itself reports for a function. */
export function permanent(code: string, message: string): Message {
  return toMessage({ code, message, retryable: false });
}

function described(error: unknown): { code: string; text: string; stackTrace: string } {
  try {
    if (!(error instanceof Error))
      return { code: "ERROR", text: String(error), stackTrace: "" };
    const code = nameOf(error).replace(/(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g, "_");
    return { code, text: error.message, stackTrace: error.stack ?? "" };
  } catch {
    // Somebody's `toString` must not decide whether a failure is reported.
    return { code: "ERROR", text: "an error whose text cannot be read", stackTrace: "" };
  }
}

function nameOf(error: Error): string {
  const isNamed = Object.hasOwn(error, "name") || error instanceof DOMException;
  return isNamed ? error.name : error.constructor.name;
}

/** Returns why the details cannot be sent; empty if they can. */
function lostDetails(details: unknown, numbers: Numbers): string {
  try {
    const size = sizeBytes(encode(details, numbers));
    return size > DETAILS_BYTES_MAX ? `${size} bytes are more than ${DETAILS_BYTES_MAX}` : "";
  } catch (error) {
    if (!(error instanceof ConversionError)) throw error;
    return error.message;
  }
}

/** Returns `code` as the service accepts it: [A-Z][A-Z0-9_]*, not its own prefix. */
function cleanCode(code: string): string {
  const clean = code.toUpperCase().replace(/[^A-Z0-9_]/g, "_");
  const taken = !/^[A-Z]/.test(clean) || clean.startsWith("STARFLOW_");
  return (taken ? `E_${clean}` : clean).slice(0, CODE_LENGTH_MAX);
}

function clip(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text.toWellFormed());
  if (bytes.length <= bytesMax) return text.toWellFormed();
  let end = bytesMax;
  // Not in the middle of a character.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end).toString();
}
