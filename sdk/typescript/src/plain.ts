/** Messages as plain objects, for events and waits: what is set, under its own name. */
import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import type { Duration, Timestamp } from "@bufbuild/protobuf/wkt";
import * as failure from "./failure.js";
import type { Failure } from "./gen/starflow/v1/failure_pb.js";
import type { Payload } from "./gen/starflow/v1/payload_pb.js";
import { type Numbers, decode } from "./json.js";
import { date, durationMs, payloadText } from "./wire.js";

type Plain = Record<string, unknown>;

const CONVERSIONS: Record<string, (message: Message, numbers: Numbers) => unknown> = {
  "starflow.v1.Payload": (message, numbers) => decode(payloadText(message as Payload), numbers),
  "starflow.v1.Failure": (message, numbers) => failure.fromMessage(message as Failure, numbers),
  "google.protobuf.Timestamp": (message) => date(message as Timestamp),
  "google.protobuf.Duration": (message) => durationMs(message as Duration),
};

/** Returns what is set in `message`; numbers always, since 0 is a value. */
export function plain(schema: DescMessage, message: Message, numbers: Numbers): Plain {
  const convert = (desc: DescMessage, value: Message): unknown => {
    const known = CONVERSIONS[desc.typeName];
    return known ? known(value, numbers) : plain(desc, value, numbers);
  };
  const values: Plain = {};
  for (const field of schema.fields) {
    const value = valueOf(field, message as unknown as Plain);
    if (value === undefined) continue;
    values[nameOf(field)] = fieldValue(field, value, numbers, convert);
  }
  return values;
}

function valueOf(field: DescField, message: Plain): unknown {
  if (field.oneof) {
    const chosen = message[field.oneof.localName] as { case?: string; value?: unknown };
    return chosen.case === field.localName ? chosen.value : undefined;
  }
  const value = message[field.localName];
  if (value === "" || value === false) return undefined;
  // Versions count from 1, and no enum's 0 says anything.
  const isNone = field.fieldKind === "enum" || field.name.endsWith("_version");
  return value === 0 && isNone ? undefined : value;
}

function nameOf(field: DescField): string {
  const isDuration = field.message?.typeName === "google.protobuf.Duration";
  return isDuration ? `${field.localName}Ms` : field.localName;
}

function fieldValue(
  field: DescField,
  value: unknown,
  numbers: Numbers,
  convert: (desc: DescMessage, value: Message) => unknown,
): unknown {
  switch (field.fieldKind) {
    case "message":
      return convert(field.message, value as Message);
    case "enum":
      return field.enum.value[value as number]?.localName ?? `UNKNOWN_${value as number}`;
    case "list":
    case "map":
      return structuredClone(value);
    default:
      if (typeof value !== "bigint" || numbers === "exact") return value;
      return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }
}
