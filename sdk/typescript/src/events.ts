/** The entries of a run's log, as plain objects told apart by `type`. */
import type { DescMessage, Message } from "@bufbuild/protobuf";
import type { Failure } from "./failure.js";
import {
  EventSchema,
  EventType,
  type Event as EventMessage,
} from "./gen/starflow/v1/event_pb.js";
import type { Numbers } from "./json.js";
import { plain } from "./plain.js";
import { date, enumName } from "./wire.js";

/** What every event has. */
interface Head<Type extends string> {
  /** The place in the log, from 1. */
  readonly version: number;
  /** When it was recorded, by the service's clock. */
  readonly time: Date;
  readonly type: Type;
}

/** How a call, a yield or a run ended: exactly one of the two is set. */
interface Result {
  readonly output?: unknown;
  readonly failure?: Failure;
}

/** When failed attempts are repeated. */
interface RecordedRetryPolicy {
  readonly initialIntervalMs?: number;
  readonly backoffCoefficient: number;
  readonly maxIntervalMs?: number;
  readonly maxAttempts: number;
  readonly nonRetryableCodes: readonly string[];
}

export interface StartEvent extends Head<"START"> {
  readonly scriptHash: string;
  readonly input?: unknown;
  readonly languageVersion?: number;
  readonly seed?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
}

export interface CallEvent extends Head<"CALL"> {
  readonly function: string;
  readonly input?: unknown;
  readonly signalId: string;
  readonly expireTime?: Date;
  readonly attemptTimeoutMs?: number;
  readonly retryPolicy?: RecordedRetryPolicy;
  readonly queue?: string;
}

export interface ReturnEvent extends Head<"RETURN">, Result {
  readonly attempts: number;
  readonly workerId?: string;
  /** The version of the CALL event that ended. */
  readonly callVersion: number;
  readonly delivery?: string;
}

export interface YieldEvent extends Head<"YIELD"> {
  readonly signalId: string;
  readonly expireTime?: Date;
  readonly callVersion: number;
  readonly delivery?: string;
  readonly workerId?: string;
}

export interface ResumeEvent extends Head<"RESUME">, Result {
  readonly signalId: string;
  readonly callVersion: number;
}

export interface SleepEvent extends Head<"SLEEP"> {
  readonly wakeTime: Date;
  readonly explicitWake?: boolean;
}

export interface TimeNowEvent extends Head<"TIME_NOW"> {
  readonly value: Date;
}

export interface RandIntEvent extends Head<"RAND_INT"> {
  readonly value: number | bigint;
}

export interface FinishEvent extends Head<"FINISH">, Result {}

export interface SignalEvent extends Head<"SIGNAL">, Result {
  readonly signalId?: string;
  readonly name?: string;
  readonly requestId?: string;
}

export interface WakeEvent extends Head<"WAKE"> {
  readonly sleepVersion: number;
}

export interface WaitEvent extends Head<"WAIT"> {
  readonly name: string;
  readonly expireTime?: Date;
}

export interface CancelEvent extends Head<"CANCEL"> {
  readonly reason?: string;
}

export interface DropEvent extends Head<"DROP"> {
  readonly droppedVersions: readonly number[];
}

export interface StatusEvent extends Head<"STATUS"> {
  readonly status?: unknown;
}

export interface RestartEvent extends Head<"RESTART"> {
  readonly input?: unknown;
}

/** An event of a type that this release does not know. */
export interface UnknownEvent extends Head<`UNKNOWN_${number}`> {}

export type Event =
  | StartEvent
  | CallEvent
  | ReturnEvent
  | YieldEvent
  | ResumeEvent
  | SleepEvent
  | TimeNowEvent
  | RandIntEvent
  | FinishEvent
  | SignalEvent
  | WakeEvent
  | WaitEvent
  | CancelEvent
  | DropEvent
  | StatusEvent
  | RestartEvent
  | UnknownEvent;

/** Returns an event as a plain object. */
export function toEvent(message: EventMessage, numbers: Numbers): Event {
  const { version, time, type, detail } = message;
  const head = { version, time: time && date(time), type: enumName(EventType, type) };
  const field = EventSchema.fields.find((each) => each.localName === detail.case);
  const fields = field && plain(field.message as DescMessage, detail.value as Message, numbers);
  return { ...head, ...fields } as Event;
}
