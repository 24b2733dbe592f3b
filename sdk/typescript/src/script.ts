/** Scripts: one text, several files, or the hash of what the service holds already. */
import { readdir, readFile } from "node:fs/promises";
import { join, sep } from "node:path";

/** A script of several files: sources by path, and which of them defines `main`. */
export interface Bundle {
  /** Paths are such as `lib/tax.star`; a file loads another by its path. */
  readonly sources: Readonly<Record<string, string>>;
  /** `main.star` unless given. */
  readonly entry?: string;
}

/** A script that the namespace already holds, by its hash. */
export interface StoredScript {
  readonly hash: string;
}

export type Script = string | Bundle | StoredScript;

const SUFFIX = ".star";

/** Returns all `.star` files below `directory`, hidden folders left out. */
export async function readBundle(directory: string, entry = "main.star"): Promise<Bundle> {
  const found = await readdir(directory, { recursive: true });
  const paths = found.filter((path) => {
    return path.endsWith(SUFFIX) && !path.split(sep).some((part) => part.startsWith("."));
  });
  const files = paths.sort().map(async (path) => {
    return [path.replaceAll(sep, "/"), await readFile(join(directory, path), "utf8")];
  });
  return { sources: Object.fromEntries(await Promise.all(files)), entry };
}

type Source =
  | { case: "script"; value: string }
  | { case: "scriptHash"; value: string }
  | { case: "bundle"; value: { sources: Record<string, string>; entry: string } };

/** Returns `script` for the wire. */
export function scriptSource(script: Script): Source {
  if (typeof script === "string") return { case: "script", value: script };
  if ("hash" in script) return { case: "scriptHash", value: script.hash };
  const { sources, entry = "" } = script;
  return { case: "bundle", value: { sources: { ...sources }, entry } };
}
