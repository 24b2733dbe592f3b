/** Starts a run, and leaves the client as it is. */
import { Client } from "starflow";

const run = await new Client().start("def main(ctx, input):\n    return 1\n");
console.log(`started ${run.id}`);
