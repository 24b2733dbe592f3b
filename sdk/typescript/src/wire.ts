/** Between what travels and plain values: payloads, durations, times, names of enums. */
import { create } from "@bufbuild/protobuf";
import {
  type Duration,
  DurationSchema,
  type Timestamp,
  timestampDate,
} from "@bufbuild/protobuf/wkt";
import { type Payload, PayloadSchema } from "./gen/starflow/v1/payload_pb.js";

/** Returns JSON text for the wire. */
export function payload(json: string): Payload {
  return create(PayloadSchema, { kind: { case: "json", value: json } });
}

/** Returns the JSON text of a payload; one that is unset or has no kind is null. */
export function payloadText(message: Payload | undefined): string {
  return message?.kind.case === "json" ? message.kind.value : "null";
}

/** Returns milliseconds for the wire. */
export function toDuration(ms: number): Duration {
  const nanos = Math.round(Math.max(ms, 0) * 1e6);
  const seconds = Math.floor(nanos / 1e9);
  return create(DurationSchema, { seconds: BigInt(seconds), nanos: nanos - seconds * 1e9 });
}

/** Returns a duration in milliseconds; 0 if it is unset. */
export function durationMs(duration: Duration | undefined): number {
  return duration ? Number(duration.seconds) * 1000 + duration.nanos / 1e6 : 0;
}

/** Returns a time, to the millisecond. */
export function date(timestamp: Timestamp): Date {
  return timestampDate(timestamp);
}

/** Returns the name of a value, also of one that this release does not know. */
export function enumName(names: Record<number, string>, value: number): string {
  return names[value] ?? `UNKNOWN_${value}`;
}
