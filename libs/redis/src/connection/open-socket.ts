import { connect as connectTcp, isIP } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { ConnectionLost } from "./connection-lost.ts";
import type { Endpoint } from "./endpoint.ts";

/** Silence on an established connection before the kernel probes the peer, in milliseconds. */
const KEEP_ALIVE_MS = 15_000;

function startSocket(endpoint: Endpoint): Socket {
  const address = { host: endpoint.host, port: endpoint.port };
  const tls = endpoint.tls;
  if (tls === undefined) return connectTcp(address);
  // A name in the TLS hello must not be an IP address (RFC 6066, section 3); verification then uses `host`.
  const name = tls.serverName ?? (isIP(endpoint.host) === 0 ? endpoint.host : undefined);
  return connectTls({
    ...address,
    ...(name === undefined ? {} : { servername: name }),
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
    rejectUnauthorized: tls.insecure !== true,
    minVersion: "TLSv1.2",
  });
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
