/** Where the service is, and how to keep talking to it. */
import type { SecureContextOptions } from "node:tls";
import type { Interceptor, Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

const DEFAULT_ADDRESS = "127.0.0.1:7233";
// gRPC's own limit in every language; the service keeps it on purpose.
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;
// A peer that vanished without a word is noticed while a call waits for it. The service
// allows pings every 10 s.
const PINGS = { pingIntervalMs: 30_000, pingTimeoutMs: 10_000 };

/** How to reach the service. */
export interface ConnectionOptions {
  /** HOST:PORT; STARFLOW_ADDRESS from the environment, or else 127.0.0.1:7233. */
  address?: string;
  /** Which runs and functions this is about; `default` unless given. */
  namespace?: string;
  /** Speak TLS: true, or what Node is to trust and show. */
  tls?: boolean | SecureContextOptions;
  /** Sent with every request, such as `authorization`; a function is asked each time. */
  headers?: Headers | (() => Headers | Promise<Headers>);
}

type Headers = Readonly<Record<string, string>>;

/** A transport, and what ends it. */
export interface Opened {
  readonly transport: Transport;
  close(): void;
}

/** Everything needed to open a connection to the service. */
export class Connection {
  readonly address: string;
  readonly namespace: string;

  constructor(private readonly options: ConnectionOptions) {
    this.address = options.address ?? process.env["STARFLOW_ADDRESS"] ?? DEFAULT_ADDRESS;
    this.namespace = options.namespace ?? "default";
    if (!/^(\[[^\]/]+\]|[^\s/:@[\]]+):\d+$/.test(this.address)) {
      throw new TypeError(`address is ${JSON.stringify(this.address)}, not HOST:PORT`);
    }
  }

  /** Returns a transport, which connects when it is first used, and again after a loss. */
  open(): Opened {
    const { tls, headers } = this.options;
    const baseUrl = `${tls ? "https" : "http"}://${this.address}`;
    const trust = typeof tls === "object" ? tls : undefined;
    const sessionManager = new Http2SessionManager(baseUrl, PINGS, trust);
    const transport = createGrpcTransport({
      baseUrl,
      sessionManager,
      writeMaxBytes: MESSAGE_BYTES_MAX,
      interceptors: headers ? [sends(headers)] : [],
      // Not worth their work on the way to a service nearby.
      acceptCompression: [],
    });
    return { transport, close: () => sessionManager.abort() };
  }
}

function sends(headers: NonNullable<ConnectionOptions["headers"]>): Interceptor {
  return (next) => async (request) => {
    const each = typeof headers === "function" ? await headers() : headers;
    for (const [name, value] of Object.entries(each)) request.header.set(name, value);
    return next(request);
  };
}
