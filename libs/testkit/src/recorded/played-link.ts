import type { Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";

/** Writes to one connection in order, on demand cut into pieces of given sizes that reach the other side one by one. */
export class PlayedLink {
  readonly socket: Socket;
  /** The options of `REPLCONF capa` that the replica sent. */
  readonly capabilities = new Set<string>();
  /** What it said by `REPLCONF version`; empty: nothing. */
  saidVersion = "";
  /** It said `REPLCONF rdb-only 1`. */
  isRdbOnly = false;
  readonly #chunkSizes: readonly number[];
  #chunks = 0;
  #tail: Promise<void> = Promise.resolve();
  /** Called at the first REPLCONF ACK. */
  onFirstAck: (() => void) | undefined;
  /** True from the moment the stream is sent to it. */
  isOnline = false;

  constructor(socket: Socket, chunkSizes: readonly number[]) {
    this.socket = socket;
    this.#chunkSizes = chunkSizes;
  }

  /** A short reply, in one piece. */
  reply(text: string): void {
    this.socket.write(text, "latin1");
  }

  play(bytes: Buffer): void {
    this.#tail = this.#tail.then(() => this.#write(bytes));
  }

  /** Closes the connection behind what is to be played. */
  end(): void {
    void this.#tail.then(() => this.socket.end());
  }

  async #write(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length && !this.socket.destroyed;) {
      const size = this.#chunkSizes[this.#chunks++ % this.#chunkSizes.length] ?? bytes.length;
      const chunk = bytes.subarray(at, at + size);
      at += chunk.length;
      await new Promise<void>((resolve) => this.socket.write(chunk, () => resolve()));
      if (at < bytes.length) await nextTurn();
    }
  }
}
