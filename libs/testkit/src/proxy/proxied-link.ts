import { connect, type Socket } from "node:net";
import { ByteFlow, reset, type Direction } from "./byte-flow.ts";
import type { LinkWeather } from "./link-weather.ts";

/** One connection of a client, carried on to the server. */
export class ProxiedLink {
  /** Resolves when both sides are gone. */
  readonly closed: Promise<void>;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #requests: ByteFlow;
  readonly #replies: ByteFlow;

  constructor(
    client: Socket,
    to: { readonly host: string; readonly port: number },
    weather: LinkWeather,
    onPassed: (direction: Direction, bytes: number) => void,
  ) {
    this.#client = client;
    this.#server = connect({ ...to, allowHalfOpen: true, noDelay: true });
    client.setNoDelay(true);
    this.#requests = new ByteFlow(client, this.#server, "requests", weather, (bytes) => onPassed("requests", bytes));
    this.#replies = new ByteFlow(this.#server, client, "replies", weather, (bytes) => onPassed("replies", bytes));
    client.on("error", () => this.#requests.break());
    this.#server.on("error", () => this.#replies.break());
    this.closed = Promise.all([this.#requests.run(), this.#replies.run(), ...[client, this.#server].map(gone)]).then(
      () => undefined,
    );
  }

  /** The port from which the server sees this connection come; undefined before it is connected. */
  get serverSidePort(): number | undefined {
    return this.#server.localPort;
  }

  heldBytes(direction: Direction): number {
    return direction === "requests" ? this.#requests.waitingBytes : this.#replies.waitingBytes;
  }

  /** Resets both sides. */
  cut(): void {
    reset(this.#client);
    reset(this.#server);
  }
}

function gone(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", () => resolve());
  });
}
