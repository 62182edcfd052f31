import { createServer, type Server } from "node:http";
import { Halt } from "../fault.ts";
import type { Meters } from "./meters.ts";
import { METRICS_CONTENT_TYPE, MetricPage } from "./metric-page.ts";

const HOST_AND_PORT = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]\s]+)):(\d{1,5})$/;
/** A request has no body and few headers: whoever takes longer than this is cut off. */
const REQUEST_LIMIT_MS = 5_000;
const MOST_CONNECTIONS = 64;

/** Where a process is watched. */
export interface MetricsAddress {
  readonly host: string;
  readonly port: number;
}

/** Reads `SLUICE_METRICS_LISTEN` (host:port; port 0 takes a free one); null where it is not set. Throws `Halt` SLU-002. */
export function readMetricsAddress(environment: NodeJS.ProcessEnv): MetricsAddress | null {
  const text = environment["SLUICE_METRICS_LISTEN"];
  if (text === undefined || text === "") return null;
  const fields = HOST_AND_PORT.exec(text);
  const host = fields?.[1] ?? fields?.[2];
  const port = Number(fields?.[3]);
  if (host === undefined || port > 65_535) {
    throw new Halt(
      "SLU-002",
      `SLUICE_METRICS_LISTEN is ${JSON.stringify(text)}; expected host:port such as 127.0.0.1:7381, or nothing for no metrics`,
    );
  }
  return { host, port };
}

export interface MetricsListener {
  /** Such as `http://127.0.0.1:7381`. */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serves `/metrics`, `/livez` and `/readyz` of this process. It shows figures, names of pipelines at most, and takes no orders, so
 * it asks nobody who he is. Throws `Halt` SLU-002 when the address can't be had.
 */
export async function listenForMetrics(address: MetricsAddress, meters: Meters): Promise<MetricsListener> {
  const server = createServer({ requestTimeout: REQUEST_LIMIT_MS, headersTimeout: REQUEST_LIMIT_MS }, (request, response) => {
    request.resume();
    const { status, type, text } = answerTo(request.method ?? "", (request.url ?? "").split("?")[0] ?? "", meters);
    response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(text);
  });
  server.maxConnections = MOST_CONNECTIONS;
  await listening(server, address);
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : address.port;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return {
    url: `http://${host}:${port}`,
    close: async () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answerTo(method: string, path: string, meters: Meters): { status: number; type: string; text: string } {
  const json = "application/json; charset=utf-8";
  if (method !== "GET" && method !== "HEAD") return { status: 405, type: json, text: '{"allowed":"GET"}' };
  if (path === "/livez") return { status: 200, type: json, text: '{"alive":true}' };
  if (path === "/readyz") {
    const reason = meters.notReady();
    return { status: reason === null ? 200 : 503, type: json, text: JSON.stringify({ ready: reason === null, reason }) };
  }
  if (path !== "/metrics") return { status: 404, type: json, text: '{"paths":["/metrics","/livez","/readyz"]}' };
  const page = new MetricPage();
  meters.collect(page);
  return { status: 200, type: METRICS_CONTENT_TYPE, text: page.text() };
}

async function listening(server: Server, { host, port }: MetricsAddress): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new Halt("SLU-002", `SLUICE_METRICS_LISTEN: can't listen on ${host}:${port}`, { cause })),
    );
    server.listen({ host, port }, resolve);
  });
}
