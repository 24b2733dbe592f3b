/** A service that does what the real one does only in rare moments. */
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import type { ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { WorkerService } from "starflow/v1/worker_service";
import { WorkflowService } from "starflow/v1/workflow_service";
import type { Scope } from "./server.js";

export interface Fakes {
  workflows?: Partial<ServiceImpl<typeof WorkflowService>>;
  workers?: Partial<ServiceImpl<typeof WorkerService>>;
}

/** Serves what is given; everything else is UNIMPLEMENTED. Returns the address. */
export async function serve(
  scope: Scope,
  { workflows = {}, workers = {} }: Fakes,
): Promise<string> {
  const server = createServer(
    connectNodeAdapter({
      routes: (router) => {
        router.service(WorkflowService, workflows);
        router.service(WorkerService, workers);
      },
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  scope.after(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
