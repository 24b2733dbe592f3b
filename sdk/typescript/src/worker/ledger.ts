/** The tasks that a worker holds, and the slots that they take. */
import type { TaskContext } from "../context.js";
import type { FunctionDefinition } from "../functions.js";
import type { Task } from "../gen/starflow/v1/worker_service_pb.js";
import type { Numbers } from "../json.js";

/** One task from its delivery until its result is answered. */
export class HeldTask {
  readonly token: string;
  /** Whether the outcome is decided; what the function does now changes nothing. */
  settled = false;

  constructor(
    readonly task: Task,
    readonly definition: FunctionDefinition,
    readonly context: TaskContext,
    readonly numbers: Numbers,
  ) {
    this.token = task.taskToken;
  }
}

/**
 * Who holds what: free slots, running functions, results on their way.
 *
 * A task occupies a slot until its function has ended. It is held, and named in heartbeats,
 * until the service has answered its result.
 */
export class Ledger {
  private readonly running = new Set<HeldTask>();
  private readonly held = new Map<string, HeldTask>();

  /** `changed` is called when a slot becomes free, or a task is held no longer. */
  constructor(
    private readonly slots: number,
    private readonly changed: () => void,
  ) {}

  /** Returns how many tasks may be taken now. */
  free(): number {
    // Results that cannot be sent must not pile up without end, either.
    return Math.min(this.slots - this.running.size, 2 * this.slots - this.held.size);
  }

  /** Begins to hold a task, which takes a slot. */
  admit(held: HeldTask): void {
    this.running.add(held);
    this.held.set(held.token, held);
  }

  /** Decides the outcome; returns false if it was decided already. */
  settle(held: HeldTask): boolean {
    const wasOpen = !held.settled;
    held.settled = true;
    return wasOpen;
  }

  /** Gives the slot back: the function has ended. */
  leave(held: HeldTask): void {
    this.running.delete(held);
    this.changed();
  }

  /** Holds the task no longer: the service knows its result. */
  answered(held: HeldTask): void {
    this.held.delete(held.token);
    this.changed();
  }

  /** Gives a task up; returns it if its function may stop. */
  abandon(token: string): HeldTask | undefined {
    const held = this.held.get(token);
    this.held.delete(token);
    return held && this.settle(held) ? held : undefined;
  }

  /** Returns all tasks held now. */
  all(): HeldTask[] {
    return [...this.held.values()];
  }

  /** Returns the tasks whose outcome is open. */
  unsettled(): HeldTask[] {
    return this.all().filter((held) => !held.settled);
  }

  /** Whether no function runs. */
  get isIdle(): boolean {
    return this.running.size === 0;
  }

  /** Whether the service has answered everything. */
  get isEmpty(): boolean {
    return this.held.size === 0;
  }
}
