import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { LinkWeather } from "./link-weather.ts";

/** Bytes that wait in a flow before it stops reading. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** With a limited bandwidth, pieces go out so often. */
const PIECES_PER_SECOND = 50;

/** `requests` flow from the client to the server, `replies` back. */
export type Direction = "requests" | "replies";

interface Waiting {
  readonly dueMs: number;
  readonly bytes: Buffer;
}

/** One direction of one connection: passes bytes on in order, when the weather lets it. */
export class ByteFlow {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #direction: Direction;
  readonly #weather: LinkWeather;
  readonly #onPassed: (bytes: number) => void;
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #hasEnded = false;
  #hasBroken = false;
  #wake: () => void = () => undefined;

  constructor(from: Socket, to: Socket, direction: Direction, weather: LinkWeather, onPassed: (bytes: number) => void) {
    this.#from = from;
    this.#to = to;
    this.#direction = direction;
    this.#weather = weather;
    this.#onPassed = onPassed;
    from.on("data", (bytes: Buffer) => this.#take(bytes));
    from.on("end", () => {
      this.#hasEnded = true;
      this.#wake();
    });
    from.on("close", () => this.#wake());
    to.on("close", () => this.#wake());
  }

  /** Bytes that have come and were not passed on yet; at most about 1 MiB, the rest waits in the kernel. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** The sending side broke: what it sent before is still passed on, then the receiving side is reset. */
  break(): void {
    this.#hasBroken = true;
    this.#wake();
  }

  /** Resolves when the end of the input has been passed on, or the receiving socket is gone. */
  async run(): Promise<void> {
    while (!this.#to.destroyed) {
      const [first] = this.#waiting;
      if (!this.#weather.isOpen(this.#direction)) await Promise.race([this.#weather.released(), this.#woken()]);
      else if (first === undefined) {
        if (this.#hasBroken) return reset(this.#to);
        if (this.#hasEnded) return void this.#to.end();
        await this.#woken();
      } else {
        const aheadMs = first.dueMs - performance.now();
        if (aheadMs > 0) await sleep(aheadMs);
        else await this.#pass(first);
      }
    }
  }

  #take(bytes: Buffer): void {
    this.#waiting.push({ dueMs: performance.now() + this.#weather.delayMs, bytes });
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes > MAX_WAITING_BYTES) this.#from.pause();
    this.#wake();
  }

  async #pass(first: Waiting): Promise<void> {
    const { bytesPerSecond } = this.#weather;
    const size = Math.min(first.bytes.length, Math.max(1, Math.floor(bytesPerSecond / PIECES_PER_SECOND)));
    const piece = first.bytes.subarray(0, size);
    if (size === first.bytes.length) this.#waiting.shift();
    else this.#waiting[0] = { dueMs: first.dueMs, bytes: first.bytes.subarray(size) };
    const isTaken = this.#to.write(piece);
    this.#waitingBytes -= size;
    this.#onPassed(size);
    if (this.#waitingBytes <= MAX_WAITING_BYTES) this.#from.resume();
    if (bytesPerSecond !== Infinity) await sleep((size * 1000) / bytesPerSecond);
    if (!isTaken && !this.#to.destroyed) await drainedOrClosed(this.#to);
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/**
 * At once: alone, `resetAndDestroy` waits until all that was written has been taken. A socket whose end is on its way can't be reset
 * (libuv, uv_tcp_close_reset: EINVAL, and it would never close).
 */
export function reset(socket: Socket): void {
  if (!socket.writableEnded) socket.resetAndDestroy();
  socket.destroy();
}

function drainedOrClosed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      socket.off("drain", settle).off("close", settle);
      resolve();
    };
    socket.on("drain", settle).on("close", settle);
  });
}
