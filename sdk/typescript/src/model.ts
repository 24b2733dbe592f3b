/** What the service answers, as plain objects. */
import type { DescMessage, Message } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { Failure } from "./failure.js";
import * as failure from "./failure.js";
import {
  PauseReason,
  type Run as RunMessage,
  RunState,
  WaitSchema,
} from "./gen/starflow/v1/run_pb.js";
import {
  Durability,
  type GetServerInfoResponse,
  Severity,
  SignalDisposition,
  type SignalResponse,
  type ValidateScriptResponse,
} from "./gen/starflow/v1/workflow_service_pb.js";
import { type Numbers, decode } from "./json.js";
import { plain } from "./plain.js";
import type { Bundle } from "./script.js";
import { date, durationMs, enumName, payloadText } from "./wire.js";

/** Where a run stands; a newer service may know more states. */
export type State =
  | "PENDING"
  | "RUNNING"
  | "SLEEPING"
  | "YIELDED"
  | "SUCCEEDED"
  | "FAILED"
  | "CANCELLED"
  | "UNKNOWN";

/** A call that the run waits for. */
export interface CallWait {
  readonly kind: "CALL";
  readonly function: string;
  readonly callVersion: number;
  /** The number of the current or next attempt, from 1. */
  readonly attempt: number;
  /** What it waits for, such as NO_WORKER, QUEUE_LIMIT or LEASED; and for people. */
  readonly state?: string;
  readonly stateMessage?: string;
  readonly workerId?: string;
  readonly queue?: string;
  readonly attemptStartTime?: Date;
  readonly nextAttemptTime?: Date;
  readonly lastFailure?: Failure;
  readonly expireTime?: Date;
}

/** A sleep that the run waits for. */
export interface SleepWait {
  readonly kind: "SLEEP";
  readonly wakeTime: Date;
}

/** A signal that the run waits for: `signalId` if a call yielded, or else `name`. */
export interface SignalWait {
  readonly kind: "SIGNAL";
  readonly signalId?: string;
  readonly name?: string;
  readonly function?: string;
  readonly yieldVersion?: number;
  readonly waitVersion?: number;
  readonly expireTime?: Date;
}

export type Wait = CallWait | SleepWait | SignalWait;

/** A signal by name that the script has not taken. */
export interface UnreadSignal {
  readonly name: string;
  /** The version of its SIGNAL event. */
  readonly version: number;
  readonly time?: Date;
}

/** A run as it stood when the service answered. */
export interface RunInfo {
  readonly id: string;
  readonly namespace: string;
  readonly state: State;
  /** The number of events in the log. */
  readonly version: number;
  /** Whether the run has come to its end. */
  readonly finished: boolean;
  readonly paused: boolean;
  readonly pauseReason: string;
  readonly pauseMessage: string;
  readonly scriptHash: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly createTime?: Date | undefined;
  readonly updateTime?: Date | undefined;
  readonly finishTime?: Date | undefined;
  /** What it waits for, the oldest first. */
  readonly waits: readonly Wait[];
  readonly input?: unknown;
  readonly output?: unknown;
  readonly failure?: Failure | undefined;
  /** Only if it was asked for. */
  readonly script?: string | Bundle | undefined;
  /** Whether somebody asked it to end, and why. */
  readonly cancelRequested: boolean;
  readonly cancelReason: string;
  /** What the script last said about itself: text, and progress and data if given. */
  readonly status?: unknown;
  /** Signals by name that the script has not taken: the oldest, and how many in all. */
  readonly unreadSignals: readonly UnreadSignal[];
  readonly unreadSignalCount: number;
  /** How often the script began again, and the version of its last START. */
  readonly restarts: number;
  readonly segmentVersion: number;
  /** The ids and the names of the signals that it waits for, the oldest first. */
  readonly signalIds: readonly string[];
  readonly signalNames: readonly string[];
}

/** What became of a signal. */
export interface SignalOutcome {
  /** RESUMED, KEPT (the run does not wait for it yet) or DUPLICATE. */
  readonly disposition: string;
  /** The version of the RESUME or, of a signal by name, SIGNAL event; 0 if none yet. */
  readonly resumeVersion: number;
}

/** One finding about a script. */
export interface Diagnostic {
  /** ERROR or WARNING. */
  readonly severity: string;
  readonly code: string;
  readonly message: string;
  /** From 1; 0 if unknown. */
  readonly line: number;
  readonly column: number;
  readonly hint: string;
  /** The path of the file in the bundle; empty if the script is a single file. */
  readonly file: string;
}

/** What the service says about a script without running it. */
export interface Validation {
  readonly valid: boolean;
  readonly diagnostics: readonly Diagnostic[];
  readonly scriptHash: string;
  /** The dotted functions that the script names, as far as a look can tell. */
  readonly functions: readonly string[];
}

/** What a server is and can. */
export interface ServerInfo {
  readonly version: string;
  readonly capabilities: readonly string[];
  /** MEMORY, PROCESS or DISK: what an acknowledged event survives. */
  readonly durability: string;
  readonly languageVersion: number;
  /** The kind of store, such as sqlite. */
  readonly store: string;
  readonly maxPayloadBytes: number;
  readonly maxPollTasks: number;
  readonly maxWaitMs: number;
  /** Every limit by its name, such as max_steps, which is also the server's option. */
  readonly limits: Readonly<Record<string, number>>;
}

const FINAL = new Set(["SUCCEEDED", "FAILED", "CANCELLED"]);

/** Returns a run as a plain object. */
export function runInfo(run: RunMessage, numbers: Numbers): RunInfo {
  const waits = run.waits.flatMap((wait) => toWait(wait, numbers));
  const state = (RunState[run.state] ?? "UNKNOWN") as State;
  return {
    id: run.runId,
    namespace: run.namespace,
    state,
    version: run.version,
    finished: FINAL.has(state),
    paused: run.paused,
    pauseReason: run.paused ? enumName(PauseReason, run.pauseReason) : "",
    pauseMessage: run.pauseMessage,
    scriptHash: run.scriptHash,
    labels: run.labels,
    ...times(run),
    waits,
    ...values(run, numbers),
    script: run.bundle ?? (run.script || undefined),
    cancelRequested: run.cancelRequested,
    cancelReason: run.cancelReason,
    unreadSignals: run.unreadSignals.map(({ name, version, time }) => {
      return { name, version, ...(time && { time: date(time) }) };
    }),
    unreadSignalCount: run.unreadSignalCount,
    restarts: run.restarts,
    segmentVersion: run.segmentVersion,
    signalIds: waits.flatMap((wait) => (wait.kind === "SIGNAL" && wait.signalId) || []),
    signalNames: waits.flatMap((wait) => (wait.kind === "SIGNAL" && wait.name) || []),
  };
}

/** Returns a run of which nothing is known but its id. */
export function unknownRun(id: string, namespace: string): RunInfo {
  return {
    ...{ id, namespace, state: "UNKNOWN", version: 0, finished: false, labels: {} },
    ...{ paused: false, pauseReason: "", pauseMessage: "", scriptHash: "", waits: [] },
    ...{ cancelRequested: false, cancelReason: "", unreadSignals: [], signalIds: [] },
    ...{ unreadSignalCount: 0, restarts: 0, segmentVersion: 0, signalNames: [] },
  };
}

export function signalOutcome(response: SignalResponse): SignalOutcome {
  const { disposition, resumeVersion } = response;
  return { disposition: enumName(SignalDisposition, disposition), resumeVersion };
}

export function validation(response: ValidateScriptResponse): Validation {
  const { valid, diagnostics, scriptHash, functions } = response;
  return {
    valid,
    diagnostics: diagnostics.map((each) => {
      const { code, message, line, column, hint, file } = each;
      const severity = enumName(Severity, each.severity);
      return { severity, code, message, line, column, hint, file };
    }),
    scriptHash,
    functions,
  };
}

export function serverInfo(response: GetServerInfoResponse): ServerInfo {
  const { version, capabilities, languageVersion, store, limits } = response;
  const byName = Object.entries(limits?.byName ?? {});
  return {
    version,
    capabilities,
    durability: enumName(Durability, response.durability),
    languageVersion,
    store,
    maxPayloadBytes: limits?.maxPayloadBytes ?? 0,
    maxPollTasks: limits?.maxPollTasks ?? 0,
    maxWaitMs: durationMs(limits?.maxWait),
    limits: Object.fromEntries(byName.map(([name, value]) => [name, Number(value)])),
  };
}

function toWait(wait: RunMessage["waits"][number], numbers: Numbers): Wait[] {
  const { kind } = wait;
  const field = WaitSchema.fields.find((each) => each.localName === kind.case);
  // Of a kind that this release does not know.
  if (field === undefined || kind.case === undefined) return [];
  const fields = plain(field.message as DescMessage, kind.value as Message, numbers);
  return [{ kind: kind.case.toUpperCase(), ...fields } as unknown as Wait];
}

function times(run: RunMessage) {
  const optional = (time: Timestamp | undefined) => time && date(time);
  return {
    createTime: optional(run.createTime),
    updateTime: optional(run.updateTime),
    finishTime: optional(run.finishTime),
  };
}

function values(run: RunMessage, numbers: Numbers) {
  const { input, status, result } = run;
  const ended = result.case === "output" ? result.value : undefined;
  return {
    input: input && decode(payloadText(input), numbers),
    status: status && decode(payloadText(status), numbers),
    output: ended && decode(payloadText(ended), numbers),
    failure: result.case === "failure" ? failure.fromMessage(result.value, numbers) : undefined,
  };
}
