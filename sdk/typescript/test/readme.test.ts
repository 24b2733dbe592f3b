import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { workerProcess } from "./support/server.js";
import { Stage } from "./support/stage.js";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const README = readFileSync(join(PACKAGE, "README.md"), "utf8");
const FENCE = /^```ts (\S+)\n(.*?)^```$/gms;
// Inside of the package, so that `starflow` is found as it is by whoever installed it.
const PLACE = join(PACKAGE, "build/readme");

const OPTIONS = { module: "nodenext", target: "es2022", types: ["node"], rootDir: "." };
const COMPILER = { ...OPTIONS, strict: true, skipLibCheck: false };
const CONFIGURATION = { compilerOptions: COMPILER, include: ["*.ts"], exclude: [] };

function compile(): string[] {
  mkdirSync(PLACE, { recursive: true });
  const snippets = [...README.matchAll(FENCE)].map(([, name = "", text = ""]) => {
    const file = name.endsWith(".ts") ? name : `${name}.ts`;
    writeFileSync(join(PLACE, file), text);
    return file;
  });
  writeFileSync(join(PLACE, "tsconfig.json"), JSON.stringify(CONFIGURATION));
  const tsc = join(PACKAGE, "node_modules/.bin/tsc");
  const done = spawnSync(tsc, ["-p", PLACE], { encoding: "utf8" });
  assert.equal(done.status, 0, done.stdout);
  return snippets;
}

test("the README's programs compile strictly, and do what it says", async (t) => {
  const snippets = compile();
  assert.deepEqual(snippets, ["worker.ts", "order.ts", "pages.ts", "check.ts"]);
  const { server, client } = await Stage.open(t);
  for (const worker of ["worker", "pages"]) {
    const program = workerProcess(t, `readme/${worker}.js`, server.address);
    program.launch();
    await program.says("registered");
  }
  const env = { ...process.env, STARFLOW_ADDRESS: server.address };
  const order = execFileSync(process.execPath, [join(PLACE, "order.js")], {
    env,
    encoding: "utf8",
  });

  assert.equal(
    order,
    [
      "{ receipt: 'receipt-A-1', parcel: 'parcel-A-1' }",
      "2 shop.charge { order: 'A-1', cents: 4200 }",
      "4 shop.ask { order: 'A-1', cents: 4200 }",
      "7 shop.ship { order: 'A-1', cents: 4200 }",
      "LIMIT { cents: 500000 }",
      "",
    ].join("\n"),
  );

  const asked: string[] = [];
  const web = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.end();
  });
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  t.after(() => web.close());
  const { port } = web.address() as AddressInfo;
  const script = "def main(ctx, input):\n    return web.fetch(ctx, input)\n";
  const run = await client.start(script, {
    input: { url: `http://127.0.0.1:${port}/`, pages: 3 },
  });
  assert.equal(await run.result(), 3);
  assert.deepEqual(asked, ["/?page=0", "/?page=1", "/?page=2"]);
});

test("the README names every error class of the package by its right name", async () => {
  const starflow: Record<string, unknown> = { ...(await import("starflow")) };
  const [, errors = ""] = /## Errors\n(.*?)## Connections/s.exec(README) ?? [];
  const named = [...errors.matchAll(/`([A-Z]\w+)`/g)].map(([, name = ""]) => name);

  assert.ok(named.length > 10);
  assert.deepEqual(
    named.filter((name) => !(name in starflow)),
    [],
  );
});
