/** How tasks come and results go: what both ways of the protocol have in common. */
import type { Logger } from "../log.js";
import type { Executor } from "./executor.js";
import type { Ledger } from "./ledger.js";
import type { Link } from "./link.js";
import type { Reports } from "./reports.js";

/** What a courier works with. */
export interface Crew {
  readonly link: Link;
  readonly ledger: Ledger;
  readonly executor: Executor;
  readonly reports: Reports;
  readonly logger: Logger;
  /** The most tasks that the service gives at a time. */
  readonly tasksMax: number;
  /** Called whenever the service has (again) taken note of the worker. */
  onRegistered(): void;
  /** Called when somebody asked the worker to end. */
  onDrained(): void;
}

/** Brings tasks to the executor, and reports to the service. */
export interface Courier {
  /**
   * Works until it is closed; returns early if the service does not offer this way.
   *
   * @throws {InvalidRequest} The service refuses the worker.
   */
  run(): Promise<void>;
  /** Asks for no more tasks; resolves when none can come any more. */
  drain(): Promise<void>;
  /** Looks again: there are results to report, or slots free. */
  wake(): void;
  /** Renews leases now, and not at the end of the interval. */
  beatSoon(): void;
  /** Ends when all is said. */
  leave(): void;
  /** Ends everything at once. */
  close(): void;
}

/** Why tasks that come while the worker ends go back. */
export const SHUTTING_DOWN = "the worker shuts down";
