/** The real service, and workers, as processes that never outlive their test. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

// From build/support.
const HERE = fileURLToPath(new URL("../..", import.meta.url));
const ROOT = join(HERE, "../..");
const PYTHON = process.env["PYTHON"] ?? join(ROOT, ".venv/bin/python");
const ROOMS = ["service", "backends", "sdk/python"].map((room) => join(ROOT, room));
// Whoever tests against another tree says so.
const PYTHONPATH = process.env["PYTHONPATH"] ?? ROOMS.join(":");
const PATIENCE_MS = 60_000;

// So that not even a test run that was itself killed with -9 leaves anything behind.
const DIE_WITH_PARENT = `
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
`;

/** What says when its tests are over: a test's context, or `node:test` itself. */
export interface Scope {
  after(end: () => unknown): void;
}

type Falsy = false | 0 | "" | null | undefined;

/** Looks until `condition` gives something that counts as true, and returns that. */
export async function until<Value>(
  condition: () => Value | Promise<Value>,
  what: string,
): Promise<Exclude<Value, Falsy>> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const value = await condition();
    if (value) return value as Exclude<Value, Falsy>;
    if (performance.now() > deadline) throw new Error(`not in ${PATIENCE_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** One program as a process. */
export class Program {
  output = "";
  private child: ChildProcess | undefined;

  constructor(
    private readonly command: readonly string[],
    private readonly environment: Readonly<Record<string, string>> = {},
  ) {}

  get hasEnded(): boolean {
    return (
      this.child === undefined || this.child.exitCode !== null || this.child.signalCode !== null
    );
  }

  /** Starts it, without waiting for anything. */
  launch(...more: string[]): void {
    const prelude =
      process.platform === "linux" ? ["-c", DIE_WITH_PARENT, `${process.pid}`] : [];
    const command = [PYTHON, ...prelude, ...this.command, ...more];
    if (prelude.length === 0) command.shift();
    const [program = "", ...args] = command;
    // A setting of the person who runs the tests is not meant for them.
    const inherited = Object.entries(process.env).filter(
      ([name]) => !name.includes("STARFLOW_"),
    );
    const env = { ...Object.fromEntries(inherited), ...this.environment };
    this.child = spawn(program, args, { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on("data", (data) => (this.output += String(data)));
    }
  }

  /** Sends it a signal, if it is still there. */
  send(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
  }

  /** Waits until it has ended; returns its exit status, or the signal that ended it. */
  async ended(): Promise<number | string | null> {
    const child = this.child;
    if (child === undefined) return null;
    await until(() => this.hasEnded, `ends: ${this.command.join(" ")}: ${this.output}`);
    return child.exitCode ?? child.signalCode;
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    this.send("SIGKILL");
    await this.ended();
  }

  /** Waits for a word in its output. */
  async says(word: string): Promise<void> {
    await until(() => {
      if (this.output.includes(word)) return true;
      if (this.hasEnded) throw new Error(`ended: ${this.output}`);
      return false;
    }, `says ${word}: ${this.output}`);
  }
}

/** `python -m starflow_service`; the address stays the same over its lives. */
export class Server {
  private readonly place = mkdtempSync(join(tmpdir(), "starflow-ts-"));
  private readonly program: Program;
  private port = 0;
  private starts = 0;

  private constructor(options: readonly string[]) {
    const store = `sqlite:${join(this.place, "starflow.db")}`;
    const command = [PYTHON, "-m", "starflow_service", "--store", store, ...options];
    this.program = new Program(command, { PYTHONPATH });
  }

  /** Starts one that ends with its tests. */
  static async start(scope: Scope, ...options: string[]): Promise<Server> {
    const server = new Server(options);
    scope.after(async () => {
      await server.kill();
      rmSync(server.place, { recursive: true, force: true });
    });
    await server.restart();
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Starts it (again), and comes back when it listens. */
  async restart(): Promise<void> {
    // A file for each life: the port of the life before must not be taken for news.
    const file = join(this.place, `port-${++this.starts}`);
    this.program.launch("--listen", `127.0.0.1:${this.port}`, "--port-file", file);
    this.port = await until(() => {
      if (this.program.hasEnded) throw new Error(`the server ended: ${this.program.output}`);
      return numberIn(file);
    }, "the server listens");
  }

  async kill(): Promise<void> {
    await this.program.kill();
  }

  /** Ends it in peace. */
  async stop(): Promise<void> {
    this.program.send("SIGTERM");
    await this.program.ended();
  }
}

/** A worker in a process of its own: a file of this folder. */
export function workerProcess(scope: Scope, file: string, address: string): Program {
  const path = fileURLToPath(new URL(`../${file}`, import.meta.url));
  const program = new Program([process.execPath, path], { STARFLOW_ADDRESS: address });
  scope.after(() => program.kill());
  return program;
}

function numberIn(file: string): number {
  try {
    return Number(readFileSync(file, "utf8"));
  } catch {
    // Not there yet.
    return 0;
  }
}
