/** Lets one loop wait until something has happened. */

/** Remembers that it was rung until somebody has waited for it. */
export class Bell {
  private rung = false;
  private wake: (() => void) | undefined;

  /** Wakes who waits, or else the next one who does. */
  ring(): void {
    this.rung = true;
    this.wake?.();
  }

  /** Waits until it is rung, or `ms` have passed. Only one may wait at a time. */
  async wait(ms?: number): Promise<void> {
    if (!this.rung) {
      await new Promise<void>((resolve) => {
        const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.wake = undefined;
    }
    this.rung = false;
  }
}

/** Something that happens once, and that many may wait for. */
export class Gate {
  readonly opened: Promise<void>;
  open: () => void = () => undefined;

  constructor() {
    this.opened = new Promise((resolve) => {
      this.open = resolve;
    });
  }
}
