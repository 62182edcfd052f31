import { connect } from "node:net";

const EXCHANGE_TIMEOUT_MS = 1000;

/**
 * Connects to a port of 127.0.0.1, sends `text` and returns what came until `isComplete` says so; then it disconnects.
 *
 * @throws Error when the connection fails or ends early, or after one second
 */
export function exchange(port: number, text: string, isComplete: (received: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = "";
    const socket = connect({ host: "127.0.0.1", port });
    const fail = (reason: Error): void => {
      socket.destroy();
      reject(reason);
    };
    socket.setTimeout(EXCHANGE_TIMEOUT_MS, () => fail(new Error(`port ${port}: no answer in ${EXCHANGE_TIMEOUT_MS} ms`)));
    socket.on("error", fail);
    socket.on("close", () => fail(new Error(`port ${port}: closed after ${JSON.stringify(received.slice(0, 200))}`)));
    socket.on("connect", () => socket.write(text));
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      received += chunk;
      if (!isComplete(received)) return;
      resolve(received);
      socket.destroy();
    });
  });
}
