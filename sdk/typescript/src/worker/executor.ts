/** Executes the functions of tasks. */
import { TaskContext } from "../context.js";
import { ConversionError, TaskAbandoned, TaskCancelled } from "../errors.js";
import { type FunctionDefinition, validated } from "../functions.js";
import {
  type Task,
  TaskAction,
  type TaskDirective,
  type TaskResult,
} from "../gen/starflow/v1/worker_service_pb.js";
import { decode, type Numbers } from "../json.js";
import type { Logger } from "../log.js";
import { payloadText } from "../wire.js";
import { HeldTask, type Ledger } from "./ledger.js";
import * as outcome from "./outcome.js";
import type { Reports } from "./reports.js";

// How long functions may be started in a row, before heartbeats and others get a turn.
const TURN_MS = 5;

/** Turns tasks into results. */
export class Executor {
  payloadBytesMax = 1024 * 1024;
  private readonly waiting: HeldTask[] = [];
  private isScheduled = false;

  constructor(
    private readonly functions: ReadonlyMap<string, FunctionDefinition>,
    private readonly numbers: Numbers,
    private readonly ledger: Ledger,
    private readonly reports: Reports,
    private readonly logger: Logger,
    private readonly beatSoon: () => void,
  ) {}

  /** Executes tasks, just delivered. */
  start(tasks: readonly Task[]): void {
    for (const task of tasks) {
      const held = this.hold(task);
      this.ledger.admit(held);
      this.waiting.push(held);
    }
    this.schedule();
  }

  /** Gives tasks, just delivered, back unexecuted. */
  release(tasks: readonly Task[], reason: string): void {
    for (const task of tasks) {
      const held = this.hold(task);
      this.ledger.admit(held);
      this.giveBack(held, reason);
      this.ledger.leave(held);
    }
  }

  /** Decides that a task goes back, unless its outcome is decided; lets its function stop. */
  giveBack(held: HeldTask, reason: string): void {
    if (!this.ledger.settle(held)) return;
    this.reports.put(held, outcome.released(held.token, reason));
    held.context.abandon(new TaskAbandoned(reason));
  }

  /** Stops what nobody waits for, or what is somebody else's now. */
  obey(directives: readonly TaskDirective[]): void {
    for (const { action, taskToken, reason } of directives) {
      if (action === TaskAction.UNSPECIFIED) continue;
      const held = this.ledger.abandon(taskToken);
      if (held === undefined) continue;
      this.logger.info("a task is abandoned", { taskId: held.task.taskId, reason });
      const isCancel = action === TaskAction.CANCEL;
      const Stop = isCancel ? TaskCancelled : TaskAbandoned;
      const said = isCancel ? "nobody waits for the task" : "the task is somebody else's now";
      held.context.abandon(new Stop(reason || said));
    }
  }

  private hold(task: Task): HeldTask {
    const definition = this.functions.get(task.function) ?? unknown(task.function);
    const numbers = definition.numbers ?? this.numbers;
    const context = new TaskContext(task, {
      numbers,
      logger: this.logger,
      payloadBytesMax: this.payloadBytesMax,
      beatSoon: this.beatSoon,
    });
    return new HeldTask(task, definition, context, numbers);
  }

  private schedule(): void {
    if (this.isScheduled || this.waiting.length === 0) return;
    this.isScheduled = true;
    setImmediate(() => {
      this.isScheduled = false;
      const end = performance.now() + TURN_MS;
      do {
        const held = this.waiting.shift();
        if (held !== undefined) void this.execute(held);
      } while (this.waiting.length > 0 && performance.now() < end);
      this.schedule();
    });
  }

  private async execute(held: HeldTask): Promise<void> {
    try {
      if (held.settled) return;
      const result = await this.result(held);
      if (this.ledger.settle(held)) this.reports.put(held, result);
    } finally {
      // Last, because the worker may end as soon as no function runs.
      this.ledger.leave(held);
    }
  }

  private async result({ task, definition, context, numbers }: HeldTask): Promise<TaskResult> {
    let request: unknown;
    try {
      request = decode(payloadText(task.input), numbers);
      if (definition.input) request = await validated(definition.input, request);
    } catch (error) {
      if (error instanceof ConversionError) {
        return outcome.permanent(task.taskToken, "BAD_INPUT", error.message);
      }
      return outcome.failed(task.taskToken, error, numbers);
    }
    try {
      const value = await definition.execute(request, context);
      return outcome.returned(task.taskToken, value, numbers, this.payloadBytesMax);
    } catch (error) {
      return outcome.failed(task.taskToken, error, numbers);
    }
  }
}

function unknown(name: string): FunctionDefinition {
  return {
    execute: () => {
      throw new Error(`this worker does not offer ${name}`);
    },
  };
}
