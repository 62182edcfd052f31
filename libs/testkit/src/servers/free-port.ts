import { createSocket, type Socket } from "node:dgram";
import { createServer } from "node:net";

/** Below the range from which Linux takes the ports of outgoing connections (32768 up), and so that port + 10000 is too. */
const FIRST_PORT = 12_000;
const LAST_PORT = 22_000;
const ATTEMPTS = 200;
const BUS_PORT_OFFSET = 10_000;

const reservations = new Map<number, Socket>();

/**
 * A TCP port of 127.0.0.1 that nobody listens on, reserved for this process until `releasePort` or its end.
 *
 * The reservation is a UDP socket bound to the same number: the kernel gives it to one process only and takes it back when
 * that process dies, so two test processes never get the same port, although neither listens on it yet. TCP is not disturbed
 * by it, which lets a server be stopped and started again on its port.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
    if (reservations.has(port)) continue;
    const reservation = await reserve(port);
    if (reservation === undefined) continue;
    if (await canListen(port)) {
      reservations.set(port, reservation);
      return port;
    }
    reservation.close();
  }
  throw new Error(`no free port on 127.0.0.1 from ${FIRST_PORT} to ${LAST_PORT} after ${ATTEMPTS} attempts`);
}

/** Like `freePort`, and nobody listens on the port of its cluster bus either, which is 10 000 above it. */
export async function freeClusterPort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = await freePort();
    if (await canListen(port + BUS_PORT_OFFSET)) return port;
    releasePort(port);
  }
  throw new Error(`no free port with a free cluster bus port after ${ATTEMPTS} attempts`);
}

/** Gives a port of `freePort` back; a port that was not reserved here is left alone. */
export function releasePort(port: number): void {
  reservations.get(port)?.close();
  reservations.delete(port);
}

function reserve(port: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket({ type: "udp4", reuseAddr: false });
    socket.once("error", () => {
      socket.close();
      resolve(undefined);
    });
    socket.bind({ address: "127.0.0.1", port, exclusive: true }, () => {
      socket.unref();
      resolve(socket);
    });
  });
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
