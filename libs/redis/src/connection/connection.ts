import type { Socket } from "node:net";
import { encodeCommand } from "../resp/encode-command.ts";
import type { CommandArgument } from "../resp/encode-command.ts";
import { decodeReply, ReplyError } from "../resp/reply.ts";
import type { Reply } from "../resp/reply.ts";
import { ReplyFramer } from "../resp/reply-framer.ts";
import type { ReplyFramerOptions } from "../resp/reply-framer.ts";
import { ConnectionLost } from "./connection-lost.ts";
import { credentialsFor, type Endpoint } from "./endpoint.ts";
import { openSocket } from "./open-socket.ts";

const CONNECT_TIMEOUT_MS = 10_000;
/** Bytes that nobody asked for are kept up to here (a replication stream begins behind its reply); then reading stops. */
const UNASKED_BYTES = 1024 * 1024;

export interface ConnectionOptions {
  /** For name resolution, TCP and TLS, and again for AUTH. Default 10 000. */
  readonly connectTimeoutMs?: number;
  /** Fails the connection when something is outstanding and for so long neither a byte arrived nor a byte left. Default: never. */
  readonly idleTimeoutMs?: number;
  /** For CLIENT SETNAME; a server that refuses it is taken nevertheless. */
  readonly name?: string;
  /** Destroys the connection when aborted. */
  readonly signal?: AbortSignal;
  readonly limits?: ReplyFramerOptions;
}

/**
 * Takes replies off the framer (with `next` or `takeRun`) as far as they have arrived, at most `remaining` of them, and returns how many it took.
 * It is called again when more bytes have arrived. What it throws ends the connection and rejects the exchange.
 */
export type ReplyReader = (framer: ReplyFramer, remaining: number) => number;

/** A request whose replies are owed. A call is one with a single reply. */
interface Outstanding {
  remaining: number;
  readonly onReplies: ReplyReader;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A bare pipelined connection: requests are answered in the order they were written. Nothing is queued while it is not open, nothing is sent twice,
 * and it does not reconnect: once it fails, everything outstanding rejects with {@link ConnectionLost}, and so does everything asked later.
 */
export class Connection {
  readonly endpoint: Endpoint;
  /** Resolves when the connection is over for whatever reason: closed, lost or detached. Never rejects. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #framer: ReplyFramer;
  readonly #idleTimeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  #queue: Outstanding[] = [];
  #head = 0;
  #failure: ConnectionLost | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  #writtenWhenArmed = 0;
  #resolveClosed: () => void = () => undefined;
  #drainWaiters: (() => void)[] = [];
  readonly #onData = (chunk: Buffer): void => this.#receive(chunk);
  readonly #onError = (error: Error): void => this.#fail(new ConnectionLost(this.endpoint, `lost: ${error.message}`, error));
  readonly #onEnd = (): void => this.#fail(new ConnectionLost(this.endpoint, "closed by the peer"));
  readonly #onDrain = (): void => this.#releaseDrainWaiters();
  readonly #onAbort = (): void => this.#fail(new ConnectionLost(this.endpoint, "aborted", this.#signal?.reason));

  private constructor(endpoint: Endpoint, socket: Socket, options: ConnectionOptions) {
    this.endpoint = endpoint;
    this.#socket = socket;
    this.#framer = new ReplyFramer(options.limits);
    this.#idleTimeoutMs = options.idleTimeoutMs ?? 0;
    this.#signal = options.signal;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    socket
      .on("data", this.#onData)
      .on("error", this.#onError)
      .on("end", this.#onEnd)
      .on("close", this.#onEnd)
      .on("drain", this.#onDrain);
    if (this.#signal?.aborted === true) this.#onAbort();
    else this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /**
   * Connects and authenticates.
   * @throws {ConnectionLost} unreachable, not trusted (TLS), too slow or aborted.
   * @throws {ReplyError} AUTH was refused.
   */
  static async open(endpoint: Endpoint, options: ConnectionOptions = {}): Promise<Connection> {
    const timeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
    const socket = await openSocket(endpoint, timeoutMs, options.signal);
    const connection = new Connection(endpoint, socket, options);
    const late = new ConnectionLost(endpoint, `no answer to AUTH after ${timeoutMs} ms`);
    const timer = setTimeout(() => connection.#fail(late), timeoutMs);
    try {
      await connection.#introduce(endpoint, options.name);
    } catch (error) {
      connection.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    return connection;
  }

  /** False once the connection is closed, lost or detached. */
  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  /** More is buffered for writing than the kernel takes at once: await {@link drained} before the next large request. */
  get isCongested(): boolean {
    return this.#socket.writableNeedDrain;
  }

  /** Bytes written that the kernel has not taken yet. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  /** Resolves when the connection is not congested, or is over. */
  async drained(): Promise<void> {
    if (!this.isOpen || !this.isCongested) return;
    await new Promise<void>((resolve) => {
      this.#drainWaiters.push(resolve);
    });
  }

  /**
   * Sends one command and decodes its reply. Calls and exchanges may overlap.
   * @throws {ReplyError} the reply is an error (errors inside an array are values of it).
   * @throws {ConnectionLost}
   */
  async call(args: readonly CommandArgument[]): Promise<Reply> {
    let reply: Reply = null;
    await this.exchange(encodeCommand(args), 1, (framer) => {
      if (!framer.next()) return 0;
      reply = decodeReply(framer.buffer, framer.start, framer.end);
      return 1;
    });
    const answer = reply as Reply;
    if (answer instanceof ReplyError) throw answer;
    return answer;
  }

  /**
   * Writes raw requests, without joining or copying them, and shows their replies to `onReplies` until `replyCount` of them are taken; then it resolves.
   * The buffers must not change before that. An error reply is a reply like any other.
   * @throws {ConnectionLost}
   */
  async exchange(request: Buffer | readonly Buffer[], replyCount: number, onReplies: ReplyReader): Promise<void> {
    if (this.#failure === undefined && this.#isIdle && this.#framer.pendingBytes > 0) {
      this.#fail(new ConnectionLost(this.endpoint, `sent ${this.#framer.pendingBytes} bytes that answer nothing`));
    }
    if (this.#failure !== undefined) throw this.#failure;
    const answered = new Promise<void>((resolve, reject) => {
      if (replyCount === 0) resolve();
      else this.#queue.push({ remaining: replyCount, onReplies, resolve, reject });
    });
    if (this.#idleTimer === undefined && !this.#isIdle) this.#armIdleTimer();
    this.#write(request);
    await answered;
  }

  /**
   * Hands the socket over, paused and without listeners, with the bytes received that no reply has taken. From here on this object is closed.
   * Listen for the socket's `error` before anything is awaited.
   * @throws {Error} something is outstanding.
   * @throws {ConnectionLost} there is no socket any more.
   */
  detach(): { socket: Socket; leftover: Buffer } {
    if (this.#failure !== undefined) throw this.#failure;
    if (!this.#isIdle)
      throw new Error(`${this.#queue.length - this.#head} requests are outstanding: the socket can't be detached`);
    const socket = this.#socket;
    socket.pause();
    socket
      .off("data", this.#onData)
      .off("error", this.#onError)
      .off("end", this.#onEnd)
      .off("close", this.#onEnd)
      .off("drain", this.#onDrain);
    const leftover = this.#framer.pending();
    this.#failure = new ConnectionLost(this.endpoint, "detached");
    this.#finish();
    return { socket, leftover };
  }

  /** Destroys the socket. What is outstanding rejects. May be called again. */
  close(): void {
    this.#fail(new ConnectionLost(this.endpoint, "closed"));
  }

  get #isIdle(): boolean {
    return this.#head === this.#queue.length;
  }

  async #introduce(endpoint: Endpoint, name: string | undefined): Promise<void> {
    const calls: Promise<unknown>[] = [];
    const { user, password } = credentialsFor(endpoint);
    if (password !== undefined) calls.push(this.call(user === undefined ? ["AUTH", password] : ["AUTH", user, password]));
    if (name !== undefined) {
      const named = this.call(["CLIENT", "SETNAME", name]).catch((error: unknown) => {
        if (!(error instanceof ReplyError)) throw error;
      });
      calls.push(named);
    }
    await Promise.all(calls);
  }

  #write(request: Buffer | readonly Buffer[]): void {
    if (Buffer.isBuffer(request)) {
      if (request.length > 0) this.#socket.write(request);
      return;
    }
    this.#socket.cork();
    for (const part of request) if (part.length > 0) this.#socket.write(part);
    this.#socket.uncork();
  }

  #receive(chunk: Buffer): void {
    this.#framer.push(chunk);
    this.#idleTimer?.refresh();
    try {
      this.#deliver();
    } catch (error) {
      this.#failReading(error);
      return;
    }
    if (!this.#isIdle) return;
    this.#disarmIdleTimer();
    if (this.#framer.pendingBytes > UNASKED_BYTES) this.#socket.pause();
  }

  #deliver(): void {
    while (this.#head < this.#queue.length && this.#failure === undefined) {
      const first = this.#queue[this.#head]!;
      const taken = first.onReplies(this.#framer, first.remaining);
      if (this.#failure !== undefined) return; // the reader closed us
      if (!(taken >= 0 && taken <= first.remaining)) throw new RangeError(`took ${taken} of ${first.remaining} replies`);
      first.remaining -= taken;
      if (first.remaining > 0) {
        if (taken === 0) return;
        continue;
      }
      this.#head++;
      if (this.#head === this.#queue.length || this.#head >= 1024) {
        this.#queue = this.#queue.slice(this.#head);
        this.#head = 0;
      }
      first.resolve();
    }
  }

  /** The reader at the head hears what was wrong; for the others the connection is lost because of it. */
  #failReading(error: unknown): void {
    const first = this.#queue[this.#head];
    this.#head = Math.min(this.#head + 1, this.#queue.length);
    first?.reject(error);
    this.#fail(
      new ConnectionLost(
        this.endpoint,
        `replies can't be followed: ${error instanceof Error ? error.message : String(error)}`,
        error,
      ),
    );
  }

  #armIdleTimer(): void {
    if (this.#idleTimeoutMs <= 0) return;
    this.#writtenWhenArmed = -1;
    this.#idleTimer = setTimeout(() => this.#onIdle(), this.#idleTimeoutMs);
  }

  #disarmIdleTimer(): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = undefined;
  }

  #onIdle(): void {
    const written = this.#socket.bytesWritten - this.#socket.writableLength;
    if (this.#socket.writableLength > 0 && written !== this.#writtenWhenArmed) {
      this.#writtenWhenArmed = written;
      this.#idleTimer?.refresh();
      return;
    }
    this.#fail(
      new ConnectionLost(
        this.endpoint,
        `silent for ${this.#idleTimeoutMs} ms with ${this.#queue.length - this.#head} requests outstanding`,
      ),
    );
  }

  #fail(failure: ConnectionLost): void {
    if (this.#failure !== undefined) return;
    this.#failure = failure;
    this.#socket.destroy();
    this.#finish();
  }

  #finish(): void {
    this.#disarmIdleTimer();
    this.#signal?.removeEventListener("abort", this.#onAbort);
    const abandoned = this.#queue.slice(this.#head);
    this.#queue = [];
    this.#head = 0;
    for (const request of abandoned) request.reject(this.#failure);
    this.#releaseDrainWaiters();
    this.#resolveClosed();
  }

  #releaseDrainWaiters(): void {
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const resolve of waiters) resolve();
  }
}
