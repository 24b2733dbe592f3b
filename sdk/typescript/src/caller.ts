/** How requests are sent: again and again, until they are answered or patience ends. */
import type { CallOptions } from "@connectrpc/connect";
import { Connection, type ConnectionOptions, type Opened } from "./connection.js";
import { StarflowError } from "./errors.js";
import type { Numbers } from "./json.js";
import { requestError } from "./status.js";
import { Trial } from "./trial.js";

// What a call gets on top of its wait before it counts as unanswered.
const MARGIN_MS_MIN = 5_000;
const MARGIN_MS_MAX = 10_000;

export interface ClientOptions extends ConnectionOptions {
  /** How long an outage may last before `Unavailable` is thrown; 10 s. */
  patienceMs?: number;
  /** How numbers are read and written; `plain` unless given. */
  numbers?: Numbers;
}

/** How one call is sent. */
export interface Call {
  waitMs?: number;
  patienceMs?: number;
  abortSignal?: AbortSignal | undefined;
}

class Closed extends StarflowError {
  constructor() {
    super("the client is closed");
    this.name = "StarflowError";
  }
}

/** What all parts of a client have in common. */
export class Caller {
  /** @internal */
  readonly connection: Connection;
  readonly numbers: Numbers;
  protected readonly patienceMs: number;
  protected readonly opened: Opened;
  private isClosed = false;

  constructor(options: ClientOptions) {
    this.connection = new Connection(options);
    this.patienceMs = options.patienceMs ?? 10_000;
    this.numbers = options.numbers ?? "plain";
    this.opened = this.connection.open();
  }

  get namespace(): string {
    return this.connection.namespace;
  }

  /** Closes the connection, and ends all that waits. What was started goes on. */
  close(): void {
    this.isClosed = true;
    this.opened.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Sends a request until it is answered or patience ends. */
  protected async call<Answer>(
    send: (options: CallOptions) => Promise<Answer>,
    { waitMs = 0, patienceMs = this.patienceMs, abortSignal }: Call = {},
  ): Promise<Answer> {
    const marginMs = Math.min(Math.max(patienceMs, MARGIN_MS_MIN), MARGIN_MS_MAX);
    const trial = new Trial(patienceMs, abortSignal);
    const timeoutMs = Math.ceil(waitMs + marginMs);
    const options = { timeoutMs, ...(abortSignal && { signal: abortSignal }) };
    for (;;) {
      this.checkOpen();
      try {
        return await send(options);
      } catch (error) {
        await trial.pause(this.requestError(error));
      }
    }
  }

  /** Returns the error for a failed call. */
  protected requestError(error: unknown): Error {
    return this.isClosed ? new Closed() : requestError(error, this.connection.address);
  }

  protected checkOpen(): void {
    if (this.isClosed) throw new Closed();
  }

  /** Yields what is on the pages that `ask` returns, one after the other. */
  protected async *pages<Page extends { nextPageToken: string }, Each>(
    ask: (pageToken: string, options: CallOptions) => Promise<Page>,
    each: (page: Page) => readonly Each[],
    abortSignal?: AbortSignal,
  ): AsyncGenerator<Each, void, undefined> {
    let pageToken = "";
    do {
      const page = await this.call((options) => ask(pageToken, options), { abortSignal });
      yield* each(page);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
  }
}
