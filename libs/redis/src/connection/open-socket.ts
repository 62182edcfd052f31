import { connect as connectTcp } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { ConnectionLost } from "./connection-lost.ts";
import type { Endpoint } from "./endpoint.ts";
import { tlsOptions } from "./tls.ts";

/** Silence on an established connection before the kernel probes the peer, in milliseconds. */
const KEEP_ALIVE_MS = 15_000;

function startSocket(endpoint: Endpoint): Socket {
  const address = { host: endpoint.host, port: endpoint.port };
  const tls = tlsOptions(endpoint);
  return tls === null ? connectTcp(address) : connectTls({ ...address, ...tls });
}

/**
 * Opens a TCP connection, or a TLS one with its handshake and verification done. The time-out covers name resolution and both handshakes.
 * @throws {ConnectionLost}
 */
export async function openSocket(endpoint: Endpoint, timeoutMs: number, signal: AbortSignal | undefined): Promise<Socket> {
  if (signal?.aborted === true) throw new ConnectionLost(endpoint, "aborted before it was opened", signal.reason);
  return new Promise((resolve, reject) => {
    let socket: Socket;
    try {
      socket = startSocket(endpoint);
    } catch (error) {
      // Unreadable certificates and keys, and ports out of range, are thrown at once.
      reject(new ConnectionLost(endpoint, "cannot be opened", error));
      return;
    }
    const settle = (error?: ConnectionLost): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      socket.off("error", onError).off("close", onClose);
      if (error === undefined) resolve(socket);
      else {
        // A destroyed TLS socket may still report; nobody else listens.
        socket.on("error", () => undefined);
        socket.destroy();
        reject(error);
      }
    };
    const onAbort = (): void => settle(new ConnectionLost(endpoint, "aborted while it was opened", signal?.reason));
    const onError = (error: Error): void => settle(new ConnectionLost(endpoint, `cannot be opened: ${error.message}`, error));
    const onClose = (): void => settle(new ConnectionLost(endpoint, "closed by the peer while it was opened"));
    const timer = setTimeout(() => settle(new ConnectionLost(endpoint, `not open after ${timeoutMs} ms`)), timeoutMs);
    signal?.addEventListener("abort", onAbort, { once: true });
    socket.on("error", onError).on("close", onClose);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.once(endpoint.tls === undefined ? "connect" : "secureConnect", () => settle());
  });
}
