/** Where the worker, and functions by `ctx.log`, tell people what happens. */

export type Fields = Readonly<Record<string, unknown>>;

/** A logger of `console`'s and winston's form: a message, and fields. */
export interface Logger {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
}

/** Writes a line each to stderr; debug is left out. */
export const stderrLogger: Logger = {
  debug: () => undefined,
  info: (message, fields) => write("INFO", message, fields),
  warn: (message, fields) => write("WARN", message, fields),
  error: (message, fields) => write("ERROR", message, fields),
};

/** Returns `logger` with `bound` in the fields of every message. */
export function bind(logger: Logger, bound: Fields): Logger {
  return {
    debug: (message, fields) => logger.debug(message, { ...bound, ...fields }),
    info: (message, fields) => logger.info(message, { ...bound, ...fields }),
    warn: (message, fields) => logger.warn(message, { ...bound, ...fields }),
    error: (message, fields) => logger.error(message, { ...bound, ...fields }),
  };
}

function write(level: string, message: string, fields: Fields = {}): void {
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${String(value)}`);
  process.stderr.write(`${new Date().toISOString()} ${level} ${message}${pairs.join("")}\n`);
}
