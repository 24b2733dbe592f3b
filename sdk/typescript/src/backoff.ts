/** Pauses: growing, scattered, and ended by an AbortSignal. */

/** Growing pauses between attempts, scattered so that clients do not march. */
export class Backoff {
  private next: number;

  constructor(
    private readonly firstMs = 100,
    private readonly mostMs = 2_000,
  ) {
    this.next = firstMs;
  }

  /** Returns how long to pause now, at least as long as the service asked for. */
  nextMs(atLeast = 0): number {
    const ms = this.next * (0.5 + Math.random() / 2);
    this.next = Math.min(this.next * 2, this.mostMs);
    return Math.max(ms, atLeast);
  }

  /** Begins anew: an attempt succeeded. */
  reset(): void {
    this.next = this.firstMs;
  }
}

/**
 * Waits for `ms`.
 *
 * @throws The reason of `abortSignal`, once it is aborted.
 */
export async function pause(ms: number, abortSignal?: AbortSignal): Promise<void> {
  abortSignal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const aborted = () => {
      clearTimeout(timer);
      reject(abortSignal?.reason);
    };
    const timer = setTimeout(() => {
      abortSignal?.removeEventListener("abort", aborted);
      resolve();
    }, ms);
    abortSignal?.addEventListener("abort", aborted, { once: true });
  });
}
