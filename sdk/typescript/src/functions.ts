/** Functions that workers execute. */
import { create } from "@bufbuild/protobuf";
import type { TaskContext, WaitForSignal } from "./context.js";
import { ConversionError } from "./errors.js";
import { type RetryPolicy, RetryPolicySchema } from "./gen/starflow/v1/retry_pb.js";
import { type FunctionSpec, FunctionSpecSchema } from "./gen/starflow/v1/worker_service_pb.js";
import type { Numbers } from "./json.js";
import { toDuration } from "./wire.js";

/** When a failed attempt is followed by another. */
export interface Retry {
  /** Most attempts, the first included; unless given, the service decides (100). */
  maxAttempts?: number;
  /** The delay after the first attempt; 1 s. */
  initialMs?: number;
  /** The factor per further attempt; 2. */
  coefficient?: number;
  /** The longest delay; 100 times the first. */
  maximumMs?: number;
  /** Failure codes that are never retried. */
  nonRetryable?: readonly string[];
}

/**
 * A schema of any library that follows the Standard Schema (https://standardschema.dev),
 * such as zod, valibot and arktype.
 */
export interface Schema<Value> {
  readonly "~standard": {
    validate(value: unknown): Verdict<Value> | Promise<Verdict<Value>>;
    readonly types?: { readonly input: unknown; readonly output: Value } | undefined;
  };
}

type Verdict<Value> = { readonly value: Value; readonly issues?: undefined } | Refusal;

interface Refusal {
  readonly issues: readonly {
    readonly message: string;
    readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
  }[];
}

/** What a function returns: a value with a JSON form, or `waitForSignal()`. */
export type Returned<Output> = Output | WaitForSignal | Promise<Output | WaitForSignal>;

/** A function with what the service, or the worker, is to know about it. */
export interface FunctionDefinition<Input = any, Output = unknown> {
  execute(req: Input, ctx: TaskContext): Returned<Output>;
  /**
   * What the request has to be; execute gets what the schema makes of it. One that it
   * refuses fails for good, with the code BAD_INPUT.
   */
  input?: Schema<Input>;
  /** Unless given, a failure is tried again only if it is a `RetryableError`. */
  retry?: Retry;
  /** How long one attempt may take; the service's default is an hour. */
  attemptTimeoutMs?: number;
  /**
   * How long the whole call may take: its attempts, the time between them, and its waiting
   * for a worker or a signal. A script may allow it less; unless given, only scripts bound it.
   */
  callTimeoutMs?: number;
  /** The queue that its calls belong to; the first part of its name unless given. */
  queue?: string;
  /** For people. */
  description?: string;
  /** JSON Schemas of argument and result; informational. */
  inputSchema?: object;
  outputSchema?: object;
  /** How numbers are read and written; as the client does unless given. */
  numbers?: Numbers;
}

/** A function by itself, or with options. */
export type AnyFunction =
  ((req: any, ctx: TaskContext) => unknown) | FunctionDefinition<any, any>;

/** Functions by the dotted names that scripts call them by. */
export type Functions = Readonly<Record<string, AnyFunction>>;

/** Returns `definition`; its use is that the types of its parts are found. */
export function defineFunction<Input, Output>(
  definition: FunctionDefinition<Input, Output>,
): FunctionDefinition<Input, Output> {
  return definition;
}

/**
 * Returns the functions by name, each as a definition.
 *
 * @throws {TypeError} There is none, or one has a name that no script could write.
 */
export function definitions(functions: Functions): Map<string, FunctionDefinition> {
  const found = new Map<string, FunctionDefinition>();
  for (const [name, each] of Object.entries(functions)) {
    if (!/^[A-Za-z_]\w*\.[A-Za-z_]\w*$/.test(name)) {
      throw new TypeError(`${JSON.stringify(name)} is not of the form module.function`);
    }
    found.set(name, typeof each === "function" ? { execute: each } : each);
  }
  if (found.size === 0) throw new TypeError("the worker offers no function");
  return found;
}

/** Returns what the service is told about a function. */
export function toSpec(name: string, definition: FunctionDefinition): FunctionSpec {
  const { retry, attemptTimeoutMs, callTimeoutMs, inputSchema, outputSchema } = definition;
  return create(FunctionSpecSchema, {
    name,
    description: definition.description ?? "",
    queue: definition.queue ?? "",
    ...(retry && { retryPolicy: toPolicy(retry) }),
    ...(attemptTimeoutMs !== undefined && { attemptTimeout: toDuration(attemptTimeoutMs) }),
    ...(callTimeoutMs !== undefined && { callTimeout: toDuration(callTimeoutMs) }),
    ...(inputSchema && { inputSchema: JSON.stringify(inputSchema) }),
    ...(outputSchema && { outputSchema: JSON.stringify(outputSchema) }),
  });
}

/**
 * Returns what `schema` makes of `value`.
 *
 * @throws {ConversionError} It refuses it.
 */
export async function validated<Value>(schema: Schema<Value>, value: unknown): Promise<Value> {
  const verdict = await schema["~standard"].validate(value);
  if (verdict.issues === undefined) return verdict.value;
  const [issue] = verdict.issues;
  const path = (issue?.path ?? []).map((step) => {
    return `.${String(typeof step === "object" ? step.key : step)}`;
  });
  throw new ConversionError(
    issue?.message ?? "is refused by its schema",
    `req${path.join("")}`,
  );
}

function toPolicy(retry: Retry): RetryPolicy {
  const { initialMs = 1_000, maximumMs } = retry;
  return create(RetryPolicySchema, {
    initialInterval: toDuration(initialMs),
    backoffCoefficient: retry.coefficient ?? 2,
    maxAttempts: retry.maxAttempts ?? 0,
    nonRetryableCodes: [...(retry.nonRetryable ?? [])],
    ...(maximumMs !== undefined && { maxInterval: toDuration(maximumMs) }),
  });
}
