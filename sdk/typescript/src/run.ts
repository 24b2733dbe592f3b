/** A handle to one run, and what waiting for it comes to. */
import type {
  Client,
  EventsOptions,
  SignalOptions,
  SignalTarget,
  WaitOptions,
} from "./client.js";
import { ResultTimeout, RunCancelled, RunFailed, RunPaused, RunYielded } from "./errors.js";
import type { Event } from "./events.js";
import type { RunInfo, SignalOutcome } from "./model.js";

/** A handle to one run. */
export class Run<Output = unknown> {
  readonly id: string;

  constructor(
    private readonly client: Client,
    /** The run as it stood when the service last told this handle. */
    public info: RunInfo,
    /** Whether `start` started it (false: it found an existing run). */
    readonly created = false,
  ) {
    this.id = info.id;
  }

  /** Waits for the run and returns its output; see `Client.result`. */
  async result(options: WaitOptions = {}): Promise<Output> {
    if (!this.info.finished) await this.wait(options);
    return outcome(this.info, options.timeoutMs) as Output;
  }

  /** Waits until the run finishes, yields or pauses; see `Client.wait`. */
  async wait(options: WaitOptions = {}): Promise<RunInfo> {
    return this.told(await this.client.wait(this.id, options));
  }

  /** Returns the run as it stands. */
  async get(options: { withScript?: boolean } = {}): Promise<RunInfo> {
    return this.told(await this.client.get(this.id, options));
  }

  /** Delivers a signal to the run; see `Client.signal`. */
  signal(
    target: SignalTarget,
    output?: unknown,
    options: SignalOptions = {},
  ): Promise<SignalOutcome> {
    return this.client.signal(this.id, target, output, options);
  }

  /** Asks the run to end; see `Client.cancel`. */
  async cancel(reason = ""): Promise<RunInfo> {
    return this.told(await this.client.cancel(this.id, reason));
  }

  /** Ends the run at once; see `Client.terminate`. */
  async terminate(reason = ""): Promise<RunInfo> {
    return this.told(await this.client.terminate(this.id, reason));
  }

  /** Lets the paused run try again; see `Client.unpause`. */
  async unpause(): Promise<RunInfo> {
    return this.told(await this.client.unpause(this.id));
  }

  /** Deletes the run, which has finished; see `Client.delete`. */
  delete(): Promise<boolean> {
    return this.client.delete(this.id, { missingOk: true });
  }

  /** Yields the events of the run's log; see `Client.events`. */
  events(options: EventsOptions = {}): AsyncGenerator<Event, void, undefined> {
    return this.client.events(this.id, options);
  }

  private told(info: RunInfo): RunInfo {
    this.info = info;
    return info;
  }
}

/** Returns the output of a run that was waited for, or throws what it came to. */
export function outcome(info: RunInfo, timeoutMs = 0): unknown {
  if (info.state === "SUCCEEDED") return info.output;
  if (info.failure !== undefined) {
    const RunEnded = info.state === "CANCELLED" ? RunCancelled : RunFailed;
    throw new RunEnded(info.id, info.failure);
  }
  if (info.paused) throw new RunPaused(info.id, info.pauseReason, info.pauseMessage);
  if (info.state === "YIELDED" && info.signalIds.length + info.signalNames.length > 0) {
    throw new RunYielded(info.id, info.signalIds, info.signalNames);
  }
  throw new ResultTimeout(info.id, info.state, timeoutMs);
}
