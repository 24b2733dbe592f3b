/** What operators ask: queues with limits, who serves what, and what waits. */
import { type Client as Stub, createClient } from "@connectrpc/connect";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { Caller, type ClientOptions } from "./caller.js";
import { type Queue, QueueService } from "./gen/starflow/v1/queue_service_pb.js";
import {
  type FunctionStatus,
  WorkerConnection,
  WorkerService,
  type WorkerStatus,
} from "./gen/starflow/v1/worker_service_pb.js";
import { date, durationMs, enumName, toDuration } from "./wire.js";

/** How many tasks of a queue are handed out in a time. */
export interface Rate {
  /** How many tokens come in `perMs`; each attempt of a call takes one. */
  readonly tokens: number;
  /** One second unless given. */
  readonly perMs?: number;
  /** How many tokens are kept for later; as many as `tokens` unless given. */
  readonly burst?: number;
}

/** What bounds a queue: at least one of the two. */
export interface QueueLimits {
  /** The most tasks that workers may have at a time. */
  readonly maxInFlight?: number;
  readonly rate?: Rate;
}

/** A queue with limits, as it stood when the service answered. */
export interface QueueInfo extends QueueLimits {
  readonly name: string;
  /** How many tasks workers have. */
  readonly inFlight: number;
  /** How many calls wait for their turn, and when the oldest was recorded. */
  readonly waiting: number;
  readonly oldestCallTime: Date | undefined;
  /** In the bucket, with fractions; 0 without a rate. */
  readonly tokens: number;
}

/** A function as it stood when the service answered. */
export interface FunctionInfo {
  readonly name: string;
  /** Whether it was ever registered; otherwise it is only called. */
  readonly registered: boolean;
  /** The live workers that offer it: the first hundred ids, and how many there are. */
  readonly workerIds: readonly string[];
  readonly workerCount: number;
  /** How many calls wait, when the oldest of them was recorded, how many a worker has. */
  readonly queued: number;
  readonly oldestCallTime: Date | undefined;
  readonly leased: number;
  readonly description: string;
  /** The queue that it was registered with; empty means the first part of its name. */
  readonly queue: string;
  readonly attemptTimeoutMs: number | undefined;
  readonly callTimeoutMs: number | undefined;
  /** JSON Schemas. */
  readonly inputSchema: string;
  readonly outputSchema: string;
}

/** A worker as it stood when the service answered. */
export interface WorkerInfo {
  readonly id: string;
  /** The functions that it registered, or polled for last. */
  readonly functions: readonly string[];
  readonly heldTasks: number;
  readonly lastSeenTime: Date | undefined;
  /** How it gets its tasks: STREAM, POLL or, at this moment, NONE. */
  readonly connection: string;
  /** Whether it was heard of lately, and whether it was told to end. */
  readonly live: boolean;
  readonly draining: boolean;
  readonly sdk: string;
  readonly buildId: string;
  readonly labels: Readonly<Record<string, string>>;
  /** 0: it did not say. */
  readonly maxConcurrency: number;
}

/** The methods of a client that look at, or bound, what is executed. */
export class Operations extends Caller {
  private readonly queues: Stub<typeof QueueService>;
  private readonly workers: Stub<typeof WorkerService>;

  constructor(options: ClientOptions) {
    super(options);
    this.queues = createClient(QueueService, this.opened.transport);
    this.workers = createClient(WorkerService, this.opened.transport);
  }

  /**
   * Bounds a queue, in place of the limits that it had; returns it.
   *
   * A call belongs to the queue that the script names for it, or that its function was
   * registered with, or else to that of the first part of its function's name.
   *
   * @throws {InvalidRequest} There is no limit, or one that means nothing.
   */
  async setQueue(name: string, { maxInFlight = 0, rate }: QueueLimits): Promise<QueueInfo> {
    const { tokens = 0, perMs = 1_000, burst = 0 } = rate ?? {};
    const wire = rate && { tokens, period: toDuration(perMs), burst };
    const limits = { maxInFlight, ...(wire && { rate: wire }) };
    const request = { namespace: this.namespace, name, limits };
    const { queue } = await this.call((options) => this.queues.setQueue(request, options));
    return queueInfo(queue as Queue);
  }

  /** Takes the limits of a queue away; returns whether it had some. */
  async deleteQueue(name: string): Promise<boolean> {
    const request = { namespace: this.namespace, name };
    return (await this.call((options) => this.queues.deleteQueue(request, options))).deleted;
  }

  /** Yields the queues with limits, by name. */
  listQueues(): AsyncGenerator<QueueInfo, void, undefined> {
    const { namespace } = this;
    return this.pages(
      (pageToken, options) => this.queues.listQueues({ namespace, pageToken }, options),
      (page) => page.queues.map(queueInfo),
    );
  }

  /** Yields the functions that are registered or waited for, by name. */
  listFunctions(): AsyncGenerator<FunctionInfo, void, undefined> {
    const { namespace } = this;
    return this.pages(
      (pageToken, options) => this.workers.listFunctions({ namespace, pageToken }, options),
      (page) => page.functions.map(functionInfo),
    );
  }

  /** Yields the workers that showed themselves lately, by id. */
  listWorkers(): AsyncGenerator<WorkerInfo, void, undefined> {
    const { namespace } = this;
    return this.pages(
      (pageToken, options) => this.workers.listWorkers({ namespace, pageToken }, options),
      (page) => page.workers.map(workerInfo),
    );
  }

  /**
   * Asks a worker to end: it gets no more tasks, and reports on those it holds. Returns how
   * many these are.
   *
   * @throws {WorkerNotRegistered} The service does not know it.
   */
  async drainWorker(workerId: string): Promise<number> {
    const request = { namespace: this.namespace, workerId };
    return (await this.call((options) => this.workers.drainWorker(request, options))).heldTasks;
  }
}

function optional(time: Timestamp | undefined): Date | undefined {
  return time && date(time);
}

function queueInfo({
  name,
  limits,
  inFlight,
  waiting,
  oldestCallTime,
  tokens,
}: Queue): QueueInfo {
  const { maxInFlight = 0, rate } = limits ?? {};
  return {
    name,
    ...(maxInFlight > 0 && { maxInFlight }),
    ...(rate && {
      rate: { tokens: rate.tokens, perMs: durationMs(rate.period) || 1_000, burst: rate.burst },
    }),
    inFlight,
    waiting,
    oldestCallTime: optional(oldestCallTime),
    tokens,
  };
}

function functionInfo(status: FunctionStatus): FunctionInfo {
  const { spec, registered, workerIds, workerCount, queuedCalls, leasedCalls } = status;
  return {
    name: spec?.name ?? "",
    registered,
    workerIds,
    workerCount,
    queued: queuedCalls,
    oldestCallTime: optional(status.oldestCallTime),
    leased: leasedCalls,
    description: spec?.description ?? "",
    queue: spec?.queue ?? "",
    attemptTimeoutMs: spec?.attemptTimeout && durationMs(spec.attemptTimeout),
    callTimeoutMs: spec?.callTimeout && durationMs(spec.callTimeout),
    inputSchema: spec?.inputSchema ?? "",
    outputSchema: spec?.outputSchema ?? "",
  };
}

function workerInfo(status: WorkerStatus): WorkerInfo {
  const { worker, functions, heldTasks, connection, live, draining } = status;
  return {
    id: worker?.workerId ?? "",
    functions,
    heldTasks,
    lastSeenTime: optional(status.lastSeenTime),
    connection: enumName(WorkerConnection, connection),
    live,
    draining,
    sdk: worker?.sdk ?? "",
    buildId: worker?.buildId ?? "",
    labels: worker?.labels ?? {},
    maxConcurrency: worker?.maxConcurrency ?? 0,
  };
}
