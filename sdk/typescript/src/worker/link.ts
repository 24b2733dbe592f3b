/** The worker's requests to the service. */
import { create } from "@bufbuild/protobuf";
import { type CallOptions, type Client as Stub, createClient } from "@connectrpc/connect";
import type { Connection, Opened } from "../connection.js";
import {
  type Completion,
  type FunctionSpec,
  type HeartbeatResponse,
  type PollResponse,
  type RegisterFunctionRequest,
  RegisterFunctionRequestSchema,
  type RegisterFunctionResponse,
  type TaskHeartbeat,
  type TaskResult,
  type WorkerInfo,
  WorkerService,
  type WorkStreamRequest,
  type WorkStreamResponse,
} from "../gen/starflow/v1/worker_service_pb.js";
import { WorkflowService } from "../gen/starflow/v1/workflow_service_pb.js";
import type { Logger } from "../log.js";
import { type ServerInfo, serverInfo } from "../model.js";
import { requestError } from "../status.js";
import { durationMs, toDuration } from "../wire.js";

const ANSWER_MS_MAX = 10_000;
// A heartbeat that takes longer has missed its purpose; the next one may do better.
const BEAT_MS_MAX = 4_000;

/** A poll that may be sent again. */
export interface OpenPoll {
  readonly pollId: string;
  readonly maxTasks: number;
}

/** One worker's side of the protocol. All methods throw `RequestError` and nothing else. */
export class Link {
  heartbeatMs = 5_000;
  readonly hello: RegisterFunctionRequest;
  private opened: Opened;
  private stub: Stub<typeof WorkerService>;
  private readonly who: { readonly namespace: string; readonly workerId: string };

  constructor(
    private readonly connection: Connection,
    worker: WorkerInfo,
    functions: FunctionSpec[],
    private readonly logger: Logger,
  ) {
    const { namespace } = connection;
    this.opened = connection.open();
    this.stub = createClient(WorkerService, this.opened.transport);
    this.who = { namespace, workerId: worker.workerId };
    this.hello = create(RegisterFunctionRequestSchema, { namespace, worker, functions });
  }

  /** Returns what the server is and can. */
  async serverInfo(): Promise<ServerInfo> {
    const stub = createClient(WorkflowService, this.opened.transport);
    return serverInfo(await this.send((options) => stub.getServerInfo({}, options)));
  }

  /** Announces the worker and its functions. */
  async register(): Promise<void> {
    this.welcomed(
      await this.send((options) => this.stub.registerFunction(this.hello, options)),
    );
  }

  /** Notes what the service answered to the announcement. */
  welcomed({ heartbeatInterval, replacedFunctions }: RegisterFunctionResponse): void {
    this.heartbeatMs = durationMs(heartbeatInterval) || this.heartbeatMs;
    if (replacedFunctions.length > 0) {
      const names = replacedFunctions.join(", ");
      this.logger.warn(`replaced the specification of another worker: ${names}`);
    }
  }

  /** Asks for tasks, and waits for the first. */
  poll(poll: OpenPoll, waitMs: number, abortSignal?: AbortSignal): Promise<PollResponse> {
    const request = { ...this.who, ...poll, wait: toDuration(waitMs) };
    const send = (options: CallOptions) => this.stub.poll(request, options);
    return this.send(send, waitMs + ANSWER_MS_MAX, abortSignal);
  }

  /** Reports results; the answers come in the same order. */
  async complete(results: TaskResult[]): Promise<Completion[]> {
    const request = { ...this.who, results };
    return (await this.send((options) => this.stub.completeTasks(request, options)))
      .completions;
  }

  /** Renews the worker's registration and leases; the service may hold the answer back. */
  beat(
    tasks: TaskHeartbeat[],
    waitMs = 0,
    abortSignal?: AbortSignal,
  ): Promise<HeartbeatResponse> {
    const request = { ...this.who, tasks, ...(waitMs > 0 && { wait: toDuration(waitMs) }) };
    const send = (options: CallOptions) => this.stub.heartbeat(request, options);
    const marginMs = Math.min(BEAT_MS_MAX, 2 * this.heartbeatMs);
    return this.send(send, waitMs + marginMs, abortSignal);
  }

  /** Opens a stream, which ends with `abortSignal`. */
  async *stream(
    requests: AsyncIterable<WorkStreamRequest>,
    abortSignal: AbortSignal,
  ): AsyncGenerator<WorkStreamResponse, void, undefined> {
    try {
      yield* this.stub.workStream(requests, { signal: abortSignal });
    } catch (error) {
      throw requestError(error, this.connection.address);
    }
  }

  /**
   * Gives the connection up, because nobody answers on it, and opens another.
   *
   * A peer that vanished without a word leaves a connection that looks sound for long. One
   * that is merely slow may still answer what is under way.
   */
  reset(): void {
    const { opened } = this;
    setTimeout(() => opened.close(), BEAT_MS_MAX).unref();
    this.opened = this.connection.open();
    this.stub = createClient(WorkerService, this.opened.transport);
  }

  /** Closes the connection; nothing else may be called any more. */
  close(): void {
    this.opened.close();
  }

  private async send<Answer>(
    send: (options: CallOptions) => Promise<Answer>,
    timeoutMs = ANSWER_MS_MAX,
    abortSignal?: AbortSignal,
  ): Promise<Answer> {
    try {
      return await send({
        timeoutMs: Math.ceil(timeoutMs),
        ...(abortSignal && { signal: abortSignal }),
      });
    } catch (error) {
      throw requestError(error, this.connection.address);
    }
  }
}
