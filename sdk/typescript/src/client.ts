/** The client: starts runs, waits for them, signals them, reads their logs. */
import { randomUUID } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type CallOptions, type Client as Stub, createClient } from "@connectrpc/connect";
import type { ClientOptions } from "./caller.js";
import { Unavailable } from "./errors.js";
import { type Event, toEvent } from "./events.js";
import type { FailureInit } from "./failure.js";
import * as failure from "./failure.js";
import { EventType } from "./gen/starflow/v1/event_pb.js";
import { RunState, RunView } from "./gen/starflow/v1/run_pb.js";
import {
  type GetEventsRequest,
  GetEventsRequestSchema,
  type GetEventsResponse,
  type RunFilterSchema,
  RunIdConflictPolicy,
  type SignalRequest,
  WaitUntil,
  WorkflowService,
} from "./gen/starflow/v1/workflow_service_pb.js";
import { encode } from "./json.js";
import {
  type RunInfo,
  runInfo,
  type ServerInfo,
  serverInfo,
  type SignalOutcome,
  signalOutcome,
  type State,
  unknownRun,
  type Validation,
  validation,
} from "./model.js";
import { Operations } from "./operations.js";
import { outcome, Run } from "./run.js";
import { type Bundle, type Script, scriptSource } from "./script.js";
import { Trial } from "./trial.js";
import { payload, toDuration } from "./wire.js";

// How long one request may wait at the server; long waits are repeated.
const WAIT_MS_MAX = 20_000;
// The service speaks every 15 s while it follows a log; two missed words mean that nobody
// is there any more.
const SILENCE_MS_MAX = 40_000;

const PAGE_SIZE = 500;

const CONFLICT_POLICIES = {
  attachSame: RunIdConflictPolicy.ATTACH_SAME,
  attachAny: RunIdConflictPolicy.ATTACH_ANY,
  fail: RunIdConflictPolicy.FAIL,
} as const;

export interface StartOptions {
  /** The value of main's `input`; null unless given. */
  input?: unknown;
  /** The run's id: with one of your own, starting is idempotent. */
  runId?: string;
  /** What else than the same script and input may be found under the id. */
  conflict?: keyof typeof CONFLICT_POLICIES;
  /** Accept calls of functions that no worker has registered yet. */
  allowUnregistered?: boolean;
  /** What the run is found by; the script does not see it. */
  labels?: Readonly<Record<string, string>>;
  /** Handed to workers with every task, such as `traceparent`. */
  headers?: Readonly<Record<string, string>>;
  /** How long to stay for the run to finish or yield. */
  waitMs?: number;
  abortSignal?: AbortSignal;
}

export interface WaitOptions {
  /** For ever unless given. */
  timeoutMs?: number;
  /** Go on waiting when the run needs a signal. */
  throughYields?: boolean;
  abortSignal?: AbortSignal;
}

/** The id that a call yielded with, or the name that a script waits for. */
export type SignalTarget = string | { readonly name: string; readonly requestId?: string };

export interface SignalOptions {
  /** Raise this where the run waits, in place of returning an output. */
  failure?: FailureInit;
  /** Refuse rather than keep the signal when the run does not wait for it now. */
  onlyIfWaiting?: boolean;
}

export interface EventsOptions {
  /** The first version to read; 1 unless given. */
  fromVersion?: number;
  /** The most events to read; all unless given. */
  limit?: number;
  /** Go on with new events until the run has finished. */
  follow?: boolean;
  /** Only these. */
  types?: readonly Event["type"][];
  /** Leave out inputs and outputs. */
  omitPayloads?: boolean;
  abortSignal?: AbortSignal;
}

/** Which runs to list; all that is given must hold. */
export interface ListOptions {
  /** In one of these. */
  states?: readonly State[];
  labels?: Readonly<Record<string, string>>;
  /** Begun then or later, and begun before. */
  since?: Date;
  before?: Date;
  /** Only those that are paused, or that are not. */
  paused?: boolean;
  scriptHash?: string;
  /** With an id that begins so. */
  prefix?: string;
  abortSignal?: AbortSignal;
}

/**
 * A connection to the service.
 *
 * Every request is safe to send again, and is, while the service cannot be reached: for
 * `patienceMs` before `Unavailable` is thrown. `result` is as patient as its own timeout.
 *
 * An open client does not keep the process alive; `close` ends it at once.
 */
export class Client extends Operations {
  private readonly stub: Stub<typeof WorkflowService>;

  constructor(options: ClientOptions = {}) {
    super(options);
    this.stub = createClient(WorkflowService, this.opened.transport);
  }

  /**
   * Starts a run of `script`: a text, a bundle of several, or `{hash}` of a stored one.
   *
   * With a `runId` of your own this is idempotent: the same id, script and input find the
   * run that exists. Without one an id is made up, so that a repetition by the network
   * starts nothing twice.
   *
   * @throws {ConversionError} The input has no JSON form.
   * @throws {ScriptInvalid} The script would not run.
   * @throws {FunctionUnknown} It calls what no worker ever registered.
   * @throws {RunIdConflict} The id is taken.
   */
  async start<Output = unknown>(
    script: Script,
    options: StartOptions = {},
  ): Promise<Run<Output>> {
    const { input, conflict = "attachSame", waitMs = 0, abortSignal } = options;
    const request = {
      namespace: this.namespace,
      runId: options.runId ?? randomUUID(),
      scriptSource: scriptSource(script),
      conflictPolicy: CONFLICT_POLICIES[conflict],
      allowUnregistered: options.allowUnregistered ?? false,
      labels: { ...options.labels },
      headers: { ...options.headers },
      ...(input !== undefined && { input: payload(encode(input, this.numbers)) }),
      ...(waitMs > 0 && { wait: toDuration(waitMs) }),
    };
    const send = (options: CallOptions) => this.stub.run(request, options);
    const { run, created } = await this.call(send, { waitMs, abortSignal });
    return new Run<Output>(this, this.told(run), created);
  }

  /** Returns a handle to the run, without asking whether there is one. */
  run<Output = unknown>(runId: string): Run<Output> {
    return new Run<Output>(this, unknownRun(runId, this.namespace));
  }

  /**
   * Returns the run as it stands.
   *
   * @throws {RunNotFound} There is no such run.
   */
  async get(runId: string, options: { withScript?: boolean } = {}): Promise<RunInfo> {
    const view = options.withScript ? RunView.WITH_SCRIPT : RunView.FULL;
    const request = { namespace: this.namespace, runId, view };
    const { run } = await this.call((options) => this.stub.getRun(request, options));
    return this.told(run);
  }

  /**
   * Waits for the run and returns its output.
   *
   * It waits up to `timeoutMs`, or for ever, and keeps trying while the service is away.
   *
   * @throws {RunFailed} It failed.
   * @throws {RunCancelled} Somebody asked it to end; also a RunFailed.
   * @throws {RunYielded} It waits for a signal, and `throughYields` was not given.
   * @throws {RunPaused} The service holds it back.
   * @throws {ResultTimeout} It has not finished in time.
   * @throws {RunNotFound} There is no such run.
   */
  async result<Output = unknown>(runId: string, options: WaitOptions = {}): Promise<Output> {
    return outcome(await this.wait(runId, options), options.timeoutMs) as Output;
  }

  /**
   * Waits until the run is finished, yields or is paused; returns it as it stands then, or
   * when the time is up.
   *
   * @throws {RunNotFound} There is no such run.
   * @throws {Unavailable} The service is away when the time is up.
   */
  async wait(runId: string, options: WaitOptions = {}): Promise<RunInfo> {
    const {
      timeoutMs = Number.POSITIVE_INFINITY,
      throughYields = false,
      abortSignal,
    } = options;
    const deadline = performance.now() + timeoutMs;
    const waitUntil = throughYields ? WaitUntil.FINISHED : WaitUntil.FINISHED_OR_YIELDED;
    for (;;) {
      const leftMs = Math.max(deadline - performance.now(), 0);
      const waitMs = Math.min(leftMs, WAIT_MS_MAX);
      const request = { namespace: this.namespace, runId, waitUntil, wait: toDuration(waitMs) };
      const send = (options: CallOptions) => this.stub.getRun(request, options);
      const { run } = await this.call(send, { waitMs, patienceMs: leftMs, abortSignal });
      const info = this.told(run);
      const yielded = info.state === "YIELDED" && !throughYields;
      if (info.finished || info.paused || yielded || performance.now() >= deadline) return info;
    }
  }

  /**
   * Delivers `output`, or `options.failure`, to the call or the script that waits for it.
   *
   * A call that yielded waits for a signal id, a script for a `{name}`. A signal that comes
   * before the run waits for it is kept, unless `onlyIfWaiting`.
   *
   * Safe to repeat: a signal id takes one content, once. Signals by name are told apart by
   * `requestId`; one is made up, so that a repetition by the network signals nothing twice.
   *
   * @throws {RunNotFound} There is no such run.
   * @throws {SignalNotExpected} The run never had this signal id.
   * @throws {SignalConflict} The signal came before, with another content.
   * @throws {SignalsFull} The run holds too many signals that it has not taken.
   * @throws {RunFinished} The run has finished.
   */
  async signal(
    runId: string,
    target: SignalTarget,
    output?: unknown,
    options: SignalOptions = {},
  ): Promise<SignalOutcome> {
    const request = {
      namespace: this.namespace,
      runId,
      ...signalTarget(target),
      result: this.signalResult(output, options.failure),
      onlyIfWaiting: options.onlyIfWaiting ?? false,
    };
    return signalOutcome(await this.call((options) => this.stub.signal(request, options)));
  }

  /**
   * Asks the run to end, because of `reason`; returns it as it stands then.
   *
   * What it waits for is given up, and its deferred functions run. `wait` tells when it has
   * ended. A run that was asked before is returned as it is.
   *
   * @throws {RunNotFound} There is no such run.
   * @throws {RunFinished} The run has ended otherwise.
   */
  async cancel(runId: string, reason = ""): Promise<RunInfo> {
    const request = { namespace: this.namespace, runId, reason };
    const { run } = await this.call((options) => this.stub.cancelRun(request, options));
    return this.told(run);
  }

  /**
   * Ends the run at once, without any more of its script; returns it.
   *
   * For runs that `cancel` cannot end: those that are paused, or whose deferred functions
   * hang.
   *
   * @throws {RunNotFound} There is no such run.
   * @throws {RunFinished} The run has ended otherwise.
   */
  async terminate(runId: string, reason = ""): Promise<RunInfo> {
    const request = { namespace: this.namespace, runId, reason };
    const { run } = await this.call((options) => this.stub.terminateRun(request, options));
    return this.told(run);
  }

  /**
   * Lets a run that the service paused try again; returns it as it stands then.
   *
   * @throws {RunNotFound} There is no such run.
   */
  async unpause(runId: string): Promise<RunInfo> {
    const request = { namespace: this.namespace, runId };
    const { run } = await this.call((options) => this.stub.unpauseRun(request, options));
    return this.told(run);
  }

  /**
   * Deletes a run that has finished, for good; returns whether there was one.
   *
   * Its id stays refused for a day, unless the server is set otherwise, so that a late
   * repetition of `start` does not start it anew.
   *
   * @throws {RunNotFinished} The run goes on; cancel or terminate it first.
   * @throws {RunNotFound} There is no such run, and that is not `missingOk`.
   */
  async delete(runId: string, { missingOk = false } = {}): Promise<boolean> {
    const request = { namespace: this.namespace, runId, allowMissing: missingOk };
    return (await this.call((options) => this.stub.deleteRun(request, options))).deleted;
  }

  /**
   * Yields the runs that are what is given, the newest first; all without any of it. They
   * come without inputs, outputs and waits, which `get` returns.
   */
  list(options: ListOptions = {}): AsyncGenerator<RunInfo, void, undefined> {
    const request = {
      namespace: this.namespace,
      filter: runFilter(options),
      pageSize: PAGE_SIZE,
    };
    return this.pages(
      (pageToken, options) => this.stub.listRuns({ ...request, pageToken }, options),
      (page) => page.runs.map((run) => this.told(run)),
      options.abortSignal,
    );
  }

  /**
   * Yields the events of the run's log.
   *
   * With `follow` it goes on with every new event until the run has finished, over broken
   * connections and restarts of the service, without a gap or a repetition.
   *
   * @throws {RunNotFound} There is no such run.
   * @throws {VersionOutOfRange} `fromVersion` lies beyond the log's end plus one.
   * @throws {Unavailable} The service was away for longer than the client's patience.
   */
  async *events(
    runId: string,
    options: EventsOptions = {},
  ): AsyncGenerator<Event, void, undefined> {
    const request = create(GetEventsRequestSchema, {
      namespace: this.namespace,
      runId,
      fromVersion: options.fromVersion ?? 1,
      limit: options.limit ?? 0,
      follow: options.follow ?? false,
      types: (options.types ?? []).map(eventType),
      omitPayloads: options.omitPayloads ?? false,
    });
    for await (const batch of this.batches(request, options.abortSignal)) {
      for (const message of batch.events) yield toEvent(message, this.numbers);
    }
  }

  /** Checks a script without running it. A bad script is no error but an answer. */
  async validate(script: string | Bundle): Promise<Validation> {
    const source = scriptSource(script);
    const request = { namespace: this.namespace, [source.case]: source.value };
    const send = (options: CallOptions) => this.stub.validateScript(request, options);
    return validation(await this.call(send));
  }

  /** Returns the server's version, capabilities and limits. */
  async serverInfo(): Promise<ServerInfo> {
    return serverInfo(await this.call((options) => this.stub.getServerInfo({}, options)));
  }

  private told(run: Parameters<typeof runInfo>[0] | undefined): RunInfo {
    if (run === undefined) throw new Unavailable("the answer holds no run");
    return runInfo(run, this.numbers);
  }

  private signalResult(
    output: unknown,
    failed: FailureInit | undefined,
  ): SignalRequest["result"] {
    if (failed !== undefined) {
      return { case: "failure", value: failure.toMessage(failed, this.numbers) };
    }
    return { case: "output", value: payload(encode(output, this.numbers)) };
  }

  private async *batches(
    request: GetEventsRequest,
    abortSignal: AbortSignal | undefined,
  ): AsyncGenerator<GetEventsResponse, void, undefined> {
    const trial = new Trial(this.patienceMs, abortSignal);
    const { limit } = request;
    for (;;) {
      let lost: unknown = new Unavailable("the stream ended", { status: "UNAVAILABLE" });
      try {
        for await (const batch of this.stream(request, abortSignal)) {
          trial.succeeded();
          request.fromVersion = batch.nextVersion;
          request.limit -= limit ? batch.events.length : 0;
          yield batch;
          if (limit && request.limit <= 0) return;
        }
        // A server that goes away ends its streams; only the run's end ends a log that is
        // followed.
        if (!request.follow || (await this.isRead(request))) return;
      } catch (error) {
        lost = error;
      }
      await trial.pause(lost);
    }
  }

  private async isRead(request: GetEventsRequest): Promise<boolean> {
    const info = await this.get(request.runId);
    return info.finished && info.version < request.fromVersion;
  }

  /** Yields batches until the stream ends, breaks off or falls silent. */
  private async *stream(
    request: GetEventsRequest,
    abortSignal: AbortSignal | undefined,
  ): AsyncGenerator<GetEventsResponse, void, undefined> {
    this.checkOpen();
    const ended = new AbortController();
    const signals = [ended.signal, ...(abortSignal ? [abortSignal] : [])];
    const listen = () => setTimeout(() => ended.abort(), SILENCE_MS_MAX);
    let silence = listen();
    try {
      const options = { signal: AbortSignal.any(signals) };
      for await (const batch of this.stub.getEvents(request, options)) {
        // However long the reader takes, that is no silence of the service.
        clearTimeout(silence);
        yield batch;
        silence = listen();
      }
    } catch (error) {
      throw this.requestError(error);
    } finally {
      clearTimeout(silence);
      // Whoever stops in the middle must not leave the server streaming.
      ended.abort();
    }
  }
}

function signalTarget(target: SignalTarget): Pick<SignalRequest, "target" | "requestId"> {
  if (typeof target === "string") {
    return { target: { case: "signalId", value: target }, requestId: "" };
  }
  const { name, requestId = randomUUID() } = target;
  return { target: { case: "name", value: name }, requestId };
}

function eventType(name: Event["type"]): EventType {
  const type = EventType[name as keyof typeof EventType];
  if (type === undefined) throw new TypeError(`there are no events of type ${name}`);
  return type;
}

function runState(name: State): RunState {
  const state = RunState[name as keyof typeof RunState];
  if (state === undefined) throw new TypeError(`there is no state ${name}`);
  return state;
}

function runFilter(options: ListOptions): MessageInitShape<typeof RunFilterSchema> {
  const { since, before, paused } = options;
  return {
    states: (options.states ?? []).map(runState),
    labels: { ...options.labels },
    scriptHash: options.scriptHash ?? "",
    runIdPrefix: options.prefix ?? "",
    ...(since && { earliestCreateTime: timestampFromDate(since) }),
    ...(before && { latestCreateTime: timestampFromDate(before) }),
    ...(paused !== undefined && { paused }),
  };
}
