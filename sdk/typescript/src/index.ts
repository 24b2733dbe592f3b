/**
 * Starflow for TypeScript: start workflows, and execute the functions they call.
 *
 * `Client` starts runs, waits for them, signals them and reads their logs. `Worker`
 * executes functions for runs. The errors are what a caller can catch.
 */
export type { ClientOptions } from "./caller.js";
export {
  Client,
  type EventsOptions,
  type ListOptions,
  type SignalOptions,
  type SignalTarget,
  type StartOptions,
  type WaitOptions,
} from "./client.js";
export type { ConnectionOptions } from "./connection.js";
export { type TaskContext, WaitForSignal, waitForSignal } from "./context.js";
export * from "./errors.js";
export type * from "./events.js";
export type { Failure, FailureInit } from "./failure.js";
export {
  type AnyFunction,
  defineFunction,
  type FunctionDefinition,
  type Functions,
  type Retry,
  type Returned,
  type Schema,
} from "./functions.js";
export { JsonText, type Numbers } from "./json.js";
export { type Fields, type Logger, stderrLogger } from "./log.js";
export type {
  CallWait,
  Diagnostic,
  RunInfo,
  ServerInfo,
  SignalOutcome,
  SignalWait,
  SleepWait,
  State,
  UnreadSignal,
  Validation,
  Wait,
} from "./model.js";
export type { FunctionInfo, QueueInfo, QueueLimits, Rate, WorkerInfo } from "./operations.js";
export { Run } from "./run.js";
export { type Bundle, readBundle, type Script, type StoredScript } from "./script.js";
export { VERSION } from "./version.js";
export { Worker, type WorkerOptions } from "./worker.js";
