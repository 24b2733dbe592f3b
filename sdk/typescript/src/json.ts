/**
 * JSON text, exactly: integers of any size, floats that stay floats, nothing guessed.
 *
 * What `JSON` bends is refused here: NaN, infinities and lone surrogates, and objects that
 * it would write as `{}` although they hold something, such as maps and promises.
 */
import { ConversionError } from "./errors.js";

/**
 * How numbers are read and written.
 *
 * `plain`: integers are numbers up to 2^53 - 1 and bigints beyond, both ways; a float
 * without a fraction, such as 1.0, is read as 1 and written as an integer.
 *
 * `exact`: every integer is a bigint and every float a number, both ways. So 1n is
 * written as 1, and 1 as 1.0.
 */
export type Numbers = "plain" | "exact";

/** A value given as JSON text, which is sent as it stands. */
export class JsonText {
  constructor(readonly text: string) {}
}

/**
 * Returns `value` as JSON text. As with `JSON.stringify`, `toJSON` is asked, and keys
 * whose value is undefined are left out.
 *
 * @throws {ConversionError} Something in `value` has no JSON form; the path leads to it.
 */
export function encode(value: unknown, numbers: Numbers = "plain"): string {
  try {
    return write(value ?? null, numbers, "", "");
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new ConversionError("is nested too deeply, or contains itself");
  }
}

/**
 * Returns the value of JSON text that the service sent.
 *
 * @throws {ConversionError} It is not JSON.
 */
export function decode(text: string, numbers: Numbers = "plain"): unknown {
  try {
    // Where no number can be beyond 2^53, and none is -0, `JSON` is exact, too.
    if (numbers === "plain" && !/\d{16}|-0/.test(text)) return JSON.parse(text);
    return new Reader(text, numbers).whole();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ConversionError(`is not JSON: ${error.message}`);
  }
}

/** Returns how many bytes `text` takes on the wire. */
export function sizeBytes(text: string): number {
  return Buffer.byteLength(text);
}

function write(value: unknown, numbers: Numbers, path: string, key: string): string {
  switch (typeof value) {
    case "string":
      return writeString(value, path);
    case "number":
      return writeNumber(value, numbers, path);
    case "bigint":
      return String(value);
    case "boolean":
      return String(value);
    case "object":
      if (value === null) return "null";
      if (value instanceof JsonText) return value.text;
      if (Array.isArray(value)) return writeArray(value, numbers, path);
      return writeObject(value, numbers, path, key);
    default:
      throw new ConversionError(`${typeof value} has no JSON form`, path);
  }
}

function writeString(value: string, path: string): string {
  if (!value.isWellFormed()) throw new ConversionError("holds a lone surrogate", path);
  return JSON.stringify(value);
}

function writeNumber(value: number, numbers: Numbers, path: string): string {
  if (!Number.isFinite(value)) {
    throw new ConversionError(`${value} has no JSON form`, path);
  }
  if (Object.is(value, -0)) return "-0.0";
  const text = String(value);
  // Beyond 2^53 a number is a float, which may have been rounded; there, integers are
  // bigints.
  if (numbers === "plain" && Number.isSafeInteger(value)) return text;
  return /[.e]/.test(text) ? text : `${text}.0`;
}

function writeArray(value: unknown[], numbers: Numbers, path: string): string {
  const items = value.map((item, index) => {
    return write(item ?? null, numbers, `${path}[${index}]`, String(index));
  });
  return `[${items.join(",")}]`;
}

function writeObject(value: object, numbers: Numbers, path: string, key: string): string {
  if ("toJSON" in value && typeof value.toJSON === "function") {
    return write(value.toJSON(key) ?? null, numbers, path, key);
  }
  const kind = Object.prototype.toString.call(value).slice(8, -1);
  if (kind !== "Object") throw new ConversionError(`${kind} has no JSON form`, path);
  const parts: string[] = [];
  for (const [name, item] of Object.entries(value)) {
    if (item === undefined) continue;
    const where = `${path}.${name}`;
    parts.push(`${writeString(name, where)}:${write(item, numbers, where, name)}`);
  }
  return `{${parts.join(",")}}`;
}

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?/y;
const WORD = /true|false|null/y;

/** Reads one JSON text from its beginning to its end. */
class Reader {
  private at = 0;

  constructor(
    private readonly text: string,
    private readonly numbers: Numbers,
  ) {}

  whole(): unknown {
    const value = this.value();
    this.skip();
    if (this.at < this.text.length) throw this.unexpected();
    return value;
  }

  private value(): unknown {
    this.skip();
    switch (this.text[this.at]) {
      case "{":
        return this.object();
      case "[":
        return this.array();
      case '"':
        return this.string();
      case "t":
      case "f":
      case "n":
        return JSON.parse(this.match(WORD)[0]);
      default:
        return this.number();
    }
  }

  private object(): unknown {
    const value: Record<string, unknown> = {};
    this.at++;
    if (this.next("}")) return value;
    do {
      this.skip();
      const key = this.string();
      if (!this.next(":")) throw this.unexpected();
      const item = this.value();
      if (key === "__proto__") {
        // An assignment would set the prototype.
        const property = { value: item, enumerable: true, configurable: true };
        Object.defineProperty(value, key, { ...property, writable: true });
      } else {
        value[key] = item;
      }
    } while (this.next(","));
    if (!this.next("}")) throw this.unexpected();
    return value;
  }

  private array(): unknown {
    const value: unknown[] = [];
    this.at++;
    if (this.next("]")) return value;
    do {
      value.push(this.value());
    } while (this.next(","));
    if (!this.next("]")) throw this.unexpected();
    return value;
  }

  private string(): string {
    if (this.text[this.at] !== '"') throw this.unexpected();
    let end = this.at;
    do {
      end = this.text.indexOf('"', end + 1);
      if (end < 0) throw new SyntaxError("a string has no end");
    } while (this.isEscaped(end));
    const quoted = this.text.slice(this.at, end + 1);
    this.at = end + 1;
    return JSON.parse(quoted) as string;
  }

  private isEscaped(at: number): boolean {
    let slashes = 0;
    while (this.text[at - 1 - slashes] === "\\") slashes++;
    return slashes % 2 === 1;
  }

  private number(): number | bigint {
    const [text, fraction, exponent] = this.match(NUMBER);
    if (fraction !== undefined || exponent !== undefined) return Number(text);
    const value = Number(text);
    if (this.numbers === "plain" && Number.isSafeInteger(value)) {
      // The integer -0 is 0; only the float has a sign.
      return value === 0 ? 0 : value;
    }
    return BigInt(text);
  }

  private next(sign: string): boolean {
    this.skip();
    if (this.text[this.at] !== sign) return false;
    this.at++;
    return true;
  }

  private skip(): void {
    this.match(SPACE);
  }

  private match(pattern: RegExp): RegExpExecArray {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) throw this.unexpected();
    this.at += found[0].length;
    return found;
  }

  private unexpected(): SyntaxError {
    const sign = this.text[this.at];
    const what = sign === undefined ? "end of text" : JSON.stringify(sign);
    return new SyntaxError(`unexpected ${what} at ${this.at}`);
  }
}
