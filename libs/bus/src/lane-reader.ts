import { AckPolicy, DeliverPolicy, type JetStreamManager } from "@nats-io/jetstream";
import { createInbox, nanos, type Msg, type Subscription } from "@nats-io/transport-node";
import { Retryable } from "@sluice/runtime";
import type { StoredMessage } from "./lane-stream.ts";
import type { Link } from "./link.ts";

/** Messages asked for or waiting in memory, together; each is at most one payload of the server's limit (1 MB by default). */
const WINDOW_MESSAGES = 32;
/**
 * The same while messages are large, as they are when a backlog drains: a process reads many lanes over one connection, and what
 * is on its way stands before everything else there, the answers that keep its leases included.
 */
const LARGE_WINDOW_MESSAGES = 4;
/** A message of this size or more is large. */
const LARGE_BYTES = 128 * 1024;
const REQUEST_EXPIRES_MS = 10_000;
const HEARTBEAT_MS = 1_000;
/** With requests open and not even a heartbeat for so long, the consumer is gone: it lives in memory, for one connection. */
const SILENCE_LIMIT_MS = 3_000;
/** The server forgets a consumer that nobody reads from after this time. */
const INACTIVE_MS = 30_000;

const Status = { heartbeat: 100, notFound: 404, expired: 408, conflict: 409, noResponders: 503 } as const;

/**
 * One subject read as a log, from a sequence on, for ever.
 *
 * A throw-away pull consumer without acknowledgements (H9) delivers it; messages are requested only as room is made in a
 * window of `WINDOW_MESSAGES` (fewer while they are large), so memory is bounded however slow the reader is. `next` rejects with `Retryable` BUS-001 when
 * the consumer is gone (the bus restarted, the connection broke): the owner then opens another where its own position is.
 * Whether anything is missing is not judged here but by the batches' own chain (H1).
 */
export class LaneReader {
  readonly #link: Link;
  readonly #manager: JetStreamManager;
  readonly #stream: string;
  readonly #consumer: string;
  readonly #subscription: Subscription;
  readonly #inbox: string;
  readonly #buffered: StoredMessage[] = [];
  readonly #watchdog: NodeJS.Timeout;
  readonly #forgetLink: () => void;
  #requested = 0;
  /** Size of the message that came last. */
  #lastBytes = LARGE_BYTES;
  #heardAtMs = performance.now();
  #lookedAtMs = performance.now();
  #failure: Error | null = null;
  #closed = false;
  #wake: (() => void) | null = null;

  private constructor(link: Link, manager: JetStreamManager, stream: string, consumer: string) {
    this.#link = link;
    this.#manager = manager;
    this.#stream = stream;
    this.#consumer = consumer;
    this.#inbox = createInbox();
    this.#subscription = link.connection.subscribe(this.#inbox, {
      callback: (error, message) => (error === null ? this.#receive(message) : this.#fail(error)),
    });
    this.#forgetLink = link.onChange(() => this.#fail(new Error("the connection broke")));
    this.#watchdog = setInterval(() => this.#checkSilence(), HEARTBEAT_MS);
    this.#request();
  }

  static async open(
    link: Link,
    manager: JetStreamManager,
    stream: string,
    subject: string,
    fromSequence: number,
  ): Promise<LaneReader> {
    const consumer = await manager.consumers.add(stream, {
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: Math.max(1, fromSequence),
      filter_subject: subject,
      ack_policy: AckPolicy.None,
      inactive_threshold: nanos(INACTIVE_MS),
      mem_storage: true,
      num_replicas: 1,
    });
    return new LaneReader(link, manager, stream, consumer.name);
  }

  /** The next message, or null once the reader is closed. One caller at a time. */
  async next(): Promise<StoredMessage | null> {
    for (;;) {
      const message = this.nextIfReady();
      if (message !== undefined) return message;
      if (this.#closed) return null;
      if (this.#failure !== null)
        throw new Retryable("BUS-001", "bus", `reading of ${this.#stream} broke off`, { cause: this.#failure });
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** The next message that is in memory already; undefined when there is none. */
  nextIfReady(): StoredMessage | undefined {
    const message = this.#buffered.shift();
    if (message !== undefined) this.#request();
    return message;
  }

  /** Ends reading; a waiting `next` answers null. Safe to call twice. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#buffered.length = 0;
    clearInterval(this.#watchdog);
    this.#forgetLink();
    this.#subscription.unsubscribe();
    this.#notify();
    if (this.#failure !== null) return;
    // The server would drop the consumer by itself after INACTIVE_MS.
    await this.#link.ask(() => this.#manager.consumers.delete(this.#stream, this.#consumer)).catch(() => undefined);
  }

  #request(): void {
    const window = this.#lastBytes < LARGE_BYTES ? WINDOW_MESSAGES : LARGE_WINDOW_MESSAGES;
    const room = window - this.#buffered.length - this.#requested;
    if (room < window / 2 || this.#closed || this.#failure !== null) return;
    // Nothing was due while nothing was asked for.
    if (this.#requested === 0) this.#heardAtMs = performance.now();
    this.#requested += room;
    const request = { batch: room, expires: nanos(REQUEST_EXPIRES_MS), idle_heartbeat: nanos(HEARTBEAT_MS) };
    try {
      this.#link.connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${this.#stream}.${this.#consumer}`, JSON.stringify(request), {
        reply: this.#inbox,
      });
    } catch (cause) {
      this.#fail(cause instanceof Error ? cause : new Error(String(cause)));
    }
  }

  #receive(message: Msg): void {
    if (this.#closed) return;
    this.#heardAtMs = performance.now();
    if (message.data.length === 0 && message.headers !== undefined && message.headers.code > 0) {
      this.#receiveStatus(message.headers.code, message.headers.get("Nats-Pending-Messages"), message.headers.description);
      return;
    }
    this.#requested = Math.max(0, this.#requested - 1);
    this.#lastBytes = message.data.length;
    this.#link.figures.batchesRead++;
    this.#link.figures.bytesRead += message.data.length;
    this.#buffered.push({ sequence: sequenceOf(message.reply ?? ""), payload: message.data });
    this.#notify();
  }

  #receiveStatus(code: number, pending: string, description: string): void {
    if (code === Status.heartbeat) return;
    if (code === Status.expired || code === Status.notFound) {
      this.#requested = pending === "" ? 0 : Math.max(0, this.#requested - Number(pending));
      this.#request();
      return;
    }
    this.#fail(new Error(`consumer answered ${code} ${description}`));
  }

  #checkSilence(): void {
    const nowMs = performance.now();
    const wasAwake = nowMs - this.#lookedAtMs < 2 * HEARTBEAT_MS;
    this.#lookedAtMs = nowMs;
    // What came in while this process stood still is not read yet.
    if (!wasAwake) this.#heardAtMs = nowMs;
    if (this.#requested > 0 && nowMs - this.#heardAtMs > SILENCE_LIMIT_MS) {
      this.#fail(new Error(`nothing heard from the consumer for ${SILENCE_LIMIT_MS} ms`));
    }
  }

  #fail(failure: Error): void {
    this.#failure ??= failure;
    this.#notify();
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}

/**
 * The stream sequence in the reply subject of a delivered message (NATS JetStream wire protocol):
 * `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.<consumer sequence>.<time>.<pending>`, with a domain and an
 * account hash before the stream from newer servers.
 */
function sequenceOf(reply: string): number {
  const tokens = reply.split(".");
  return Number(tokens.length === 9 ? tokens[5] : tokens[7]);
}
