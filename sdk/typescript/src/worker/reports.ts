/** Results on their way to the service. */
import {
  type Completion,
  CompletionStatus,
  type TaskHeartbeat,
  TaskHeartbeatSchema,
  type TaskResult,
} from "../gen/starflow/v1/worker_service_pb.js";
import { create } from "@bufbuild/protobuf";
import { sizeBytes } from "../json.js";
import type { Logger } from "../log.js";
import { payload } from "../wire.js";
import type { HeldTask, Ledger } from "./ledger.js";
import * as outcome from "./outcome.js";

const BATCH_RESULTS_MAX = 1_000;
// One message must stay below gRPC's limit of 4 MiB, also with a large result on top.
const BATCH_BYTES_MAX = 1024 * 1024;
const REJECTED = "RESULT_REJECTED";

/** A result, and the task that it ends. */
export interface Report {
  readonly held: HeldTask;
  readonly result: TaskResult;
  readonly bytes: number;
}

/** Progress that was told, by token, until it is known to have arrived. */
export type News = Map<string, { readonly held: HeldTask; readonly text: string }>;

/**
 * The outbox: results that were not sent, or sent in vain.
 *
 * Whoever can send takes as many as there are. So a lone result leaves at once, and the
 * busier the worker, the larger the batches.
 */
export class Reports {
  private waiting: Report[] = [];

  constructor(
    private readonly ledger: Ledger,
    private readonly logger: Logger,
    private readonly wake: () => void,
  ) {}

  get isEmpty(): boolean {
    return this.waiting.length === 0;
  }

  /** Reports `result`, the outcome of `held`. */
  put(held: HeldTask, result: TaskResult): void {
    this.waiting.push({ held, result, bytes: outcome.bytesOf(result) });
    this.wake();
  }

  /** Takes the next results to send, as many as one message can carry. */
  take(): Report[] {
    let size = 0;
    let count = 0;
    for (const { bytes } of this.waiting.slice(0, BATCH_RESULTS_MAX)) {
      size += bytes;
      if (count > 0 && size > BATCH_BYTES_MAX) break;
      count++;
    }
    return this.waiting.splice(0, count);
  }

  /** Takes results back that were sent, and of which nothing is known. */
  putBack(batch: readonly Report[]): void {
    this.waiting.unshift(...batch);
  }

  /** Gives up on results that the service refuses to read. */
  drop(batch: readonly Report[], reason: string): void {
    for (const { held } of batch) {
      this.logger.error("a result is lost", { taskId: held.task.taskId, reason });
      this.ledger.answered(held);
    }
  }

  /** Notes what became of a batch; a result without a completion was applied. */
  answered(batch: readonly Report[], completions: readonly Completion[]): void {
    const byToken = new Map(completions.map((each) => [each.taskToken, each]));
    for (const report of batch) {
      const completion = byToken.get(report.held.token);
      if (completion?.status === CompletionStatus.REJECTED) {
        if (this.replaced(report, completion.rejection?.message ?? "")) continue;
      } else if (completion?.status === CompletionStatus.IGNORED) {
        this.logger.info("a result came too late", { taskId: report.held.task.taskId });
      }
      this.ledger.answered(report.held);
    }
  }

  /**
   * Returns those tasks whose progress has to arrive before their results, which are
   * waiting: the next attempt is to see it.
   */
  newsFirst(): HeldTask[] {
    return this.waiting
      .filter(({ held, result }) => {
        const { case: kind } = result.outcome;
        return (kind === "failure" || kind === "release") && held.context.unsentProgress();
      })
      .map(({ held }) => held);
  }

  /** Reports a failure in place of what the service cannot use. */
  private replaced({ held, result }: Report, message: string): boolean {
    this.logger.error("a result is refused", { taskId: held.task.taskId, message });
    const { outcome: sent } = result;
    if (sent.case === "failure" && sent.value.code === REJECTED) return false;
    const problem = `the service cannot use the result: ${message}`;
    this.put(held, outcome.permanent(held.token, REJECTED, problem));
    return true;
  }
}

/**
 * Returns the heartbeats of `tasks`, and puts the progress in them into `news`: as much as
 * one message can carry, without that which `news` holds already.
 */
export function heartbeats(tasks: readonly HeldTask[], news: News): TaskHeartbeat[] {
  let size = 0;
  return tasks.map((held) => {
    const taskToken = held.token;
    const text = held.context.unsentProgress();
    if (text === undefined || news.get(taskToken)?.text === text) {
      return create(TaskHeartbeatSchema, { taskToken });
    }
    const bytes = sizeBytes(text);
    if (size > 0 && size + bytes > BATCH_BYTES_MAX) {
      return create(TaskHeartbeatSchema, { taskToken });
    }
    size += bytes;
    news.set(taskToken, { held, text });
    return create(TaskHeartbeatSchema, { taskToken, progress: payload(text) });
  });
}

/** Notes that progress has arrived. */
export function arrived(news: News): void {
  for (const { held, text } of news.values()) held.context.progressSent(text);
}
