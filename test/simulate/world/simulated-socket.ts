import type { Duplex } from "node:stream";
import { ConnectionLost, type Endpoint } from "@sluice/redis";
import type { Network } from "./network.ts";

let network: Network | null = null;

/** From here on connections are made in the network of another world. */
export function connectIn(next: Network): void {
  network = next;
}

/** Stands in the place of `openSocket`, with the same promises. */
export async function openSimulatedSocket(
  endpoint: Endpoint,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Duplex> {
  if (network === null) throw new Error("there is no world to connect in");
  if (signal?.aborted === true) throw new ConnectionLost(endpoint, "aborted before it was opened", signal.reason);
  const socket = network.connect(endpoint.host, endpoint.port);
  return new Promise((resolve, reject) => {
    const settle = (error?: ConnectionLost): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      socket.off("error", onError);
      if (error === undefined) resolve(socket);
      else {
        socket.on("error", () => undefined);
        socket.destroy();
        reject(error);
      }
    };
    const onAbort = (): void => settle(new ConnectionLost(endpoint, "aborted while it was opened", signal?.reason));
    const onError = (error: Error): void => settle(new ConnectionLost(endpoint, `cannot be opened: ${error.message}`, error));
    const timer = setTimeout(() => settle(new ConnectionLost(endpoint, `not open after ${timeoutMs} ms`)), timeoutMs);
    signal?.addEventListener("abort", onAbort, { once: true });
    socket.on("error", onError);
    socket.once("connect", () => settle());
  });
}
