/** One request's way through an outage. */
import { Backoff, pause } from "./backoff.js";
import { mayHelpLater } from "./status.js";

/** Pauses between the attempts of one request, until patience ends. */
export class Trial {
  private readonly backoff = new Backoff();
  private since: number | undefined;

  constructor(
    private readonly patienceMs: number,
    private readonly abortSignal: AbortSignal | undefined,
  ) {}

  /** Forgets the outage: the service answered. */
  succeeded(): void {
    this.since = undefined;
    this.backoff.reset();
  }

  /** Waits before another attempt, or throws `error` if that is of no use. */
  async pause(error: unknown): Promise<void> {
    this.abortSignal?.throwIfAborted();
    if (!mayHelpLater(error)) throw error;
    const now = performance.now();
    this.since ??= now;
    const ms = this.backoff.nextMs(error.retryAfterMs);
    if (now + ms - this.since > this.patienceMs) throw error;
    await pause(ms, this.abortSignal);
  }
}
