/** What becomes of a task, as the service is told. */
import { create, toBinary } from "@bufbuild/protobuf";
import { WaitForSignal } from "../context.js";
import { ConversionError } from "../errors.js";
import * as failure from "../failure.js";
import type { Failure } from "../gen/starflow/v1/failure_pb.js";
import { type TaskResult, TaskResultSchema } from "../gen/starflow/v1/worker_service_pb.js";
import { encode, type Numbers, sizeBytes } from "../json.js";
import { payload, toDuration } from "../wire.js";

/** Returns the result for what a function returned, which may be a failure. */
export function returned(
  taskToken: string,
  value: unknown,
  numbers: Numbers,
  bytesMax: number,
): TaskResult {
  if (value instanceof WaitForSignal) return yielded(taskToken, value);
  try {
    const text = encode(value, numbers);
    const size = sizeBytes(text);
    if (size > bytesMax) {
      const problem = `the function returned ${size} bytes, more than ${bytesMax}`;
      return permanent(taskToken, "OUTPUT_TOO_LARGE", problem);
    }
    return create(TaskResultSchema, {
      taskToken,
      outcome: { case: "output", value: payload(text) },
    });
  } catch (error) {
    if (!(error instanceof ConversionError)) throw error;
    return permanent(taskToken, "BAD_OUTPUT", `what the function returned: ${error.message}`);
  }
}

/** Returns the result for what a function threw, whatever that is. */
export function failed(taskToken: string, error: unknown, numbers: Numbers): TaskResult {
  try {
    return withFailure(taskToken, failure.fromError(error, numbers));
  } catch (problem) {
    // A getter that throws, or a delay of NaN: a report there has to be all the same.
    return permanent(taskToken, "BAD_ERROR", `what the function threw: ${String(problem)}`);
  }
}

/** Returns a failure that the SDK found, and that every attempt would find again. */
export function permanent(taskToken: string, code: string, message: string): TaskResult {
  return withFailure(taskToken, failure.permanent(code, message));
}

/** Returns the result of a task that goes back unexecuted. */
export function released(taskToken: string, reason: string): TaskResult {
  return create(TaskResultSchema, {
    taskToken,
    outcome: { case: "release", value: { reason } },
  });
}

/** Returns how many bytes a result takes on the wire, or a little more. */
export function bytesOf(result: TaskResult): number {
  const { outcome, taskToken } = result;
  if (outcome.case !== "output") return toBinary(TaskResultSchema, result).length;
  const text = outcome.value.kind.case === "json" ? outcome.value.kind.value : "";
  return sizeBytes(text) + taskToken.length + 32;
}

function withFailure(taskToken: string, value: Failure): TaskResult {
  return create(TaskResultSchema, { taskToken, outcome: { case: "failure", value } });
}

function yielded(taskToken: string, { timeoutMs }: WaitForSignal): TaskResult {
  const value = timeoutMs === undefined ? {} : { timeout: toDuration(timeoutMs) };
  return create(TaskResultSchema, { taskToken, outcome: { case: "waitForSignal", value } });
}
