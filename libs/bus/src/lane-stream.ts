import {
  DiscardPolicy,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
  type JetStreamClient,
  type JetStreamManager,
  type StreamConfig,
} from "@nats-io/jetstream";
import { Halt, Retryable } from "@sluice/runtime";
import { streamName, streamSubjects } from "@sluice/wire";
import { LaneReader } from "./lane-reader.ts";
import type { Link } from "./link.ts";
import { raiseReplicas } from "./replicas.ts";

/** A stored message. `sequence` is the stream's. */
export interface StoredMessage {
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** A message that was asked for by its sequence, which may be any subject's. */
export interface PlacedMessage extends StoredMessage {
  readonly subject: string;
}

/** `stored`: at `sequence`. `refused`: the subject's last message is not the expected one. `unknown`: no answer came. */
export type AppendResult =
  | { readonly outcome: "stored"; readonly sequence: number }
  | { readonly outcome: "refused" }
  | { readonly outcome: "unknown"; readonly cause: unknown };

export interface StreamSize {
  readonly messages: number;
  readonly bytes: number;
  /** The least of what it and the account may hold; null where neither has a limit: then the server's disk is what ends. */
  readonly limitBytes: number | null;
}

const PUBLISH_TIMEOUT_MS = 5_000;
const WRONG_LAST_SEQUENCE = 10071;
const WRONG_LAST_SEQUENCE_CONSTANT = 10164;
const MESSAGE_NOT_FOUND = 10037;
const STREAM_NOT_FOUND = 10059;
const STREAM_NAME_IN_USE = 10058;
/** Store failed, limits of the stream, of the account or of the server reached, no storage left. */
const FULL = new Set([10077, 10047, 10023, 10028, 10002]);

/**
 * The JetStream stream of one pipeline, used as a set of append-only logs, one a subject.
 *
 * File storage, discard new, no age limit, no message ids: nothing is ever dropped or folded by the server's own decision
 * (H8, H27); only `trim` removes. Reading and appending go by sequence, JetStream acknowledgements play no part (H3, H9).
 */
export class LaneStream {
  readonly name: string;
  readonly #pipeline: string;
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;
  readonly #link: Link;
  readonly #replicas: number;

  constructor(link: Link, client: JetStreamClient, manager: JetStreamManager, pipeline: string, replicas: number) {
    this.#link = link;
    this.#client = client;
    this.#manager = manager;
    this.#pipeline = pipeline;
    this.#replicas = replicas;
    this.name = streamName(pipeline);
  }

  /**
   * Creates the stream where there is none, and gives one that has fewer replicas those that it lacks. One that exists with
   * another retention is refused: Halt BUS-003. Its limit stays what it is, see `limit`.
   */
  async ensure(): Promise<void> {
    const wanted = {
      name: this.name,
      subjects: [streamSubjects(this.#pipeline)],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      discard: DiscardPolicy.New,
      num_replicas: this.#replicas,
      max_age: 0,
      max_msgs: -1,
      max_msgs_per_subject: -1,
      max_bytes: -1,
      allow_direct: false,
      deny_delete: false,
      deny_purge: false,
      duplicate_window: 100_000_000,
    };
    await this.#asked(async () => {
      try {
        await this.#manager.streams.add(wanted);
      } catch (cause) {
        if (codeOf(cause) !== STREAM_NAME_IN_USE) throw cause;
      }
      const { config } = await this.#manager.streams.info(this.name);
      const found = keptBy(config);
      const expected = keptBy(wanted);
      if (found !== expected) throw new Halt("BUS-003", `stream ${this.name} has ${found}; expected ${expected}`);
      await raiseReplicas(this.#manager, config, this.#replicas);
    });
  }

  /**
   * Lets the stream hold so many bytes at most (null: without a limit of its own); what is beyond is refused. The limit that holds
   * then; undefined where there is no stream. It is never set below what is stored and `headroomBytes`, since the server makes a
   * stream smaller by removing its oldest messages, whatever `discard` says (seen on 2.9.10): who wants it lower asks again when
   * the stream has shrunk. Throws `Retryable` BUS-001.
   */
  async limit(limitBytes: number | null, headroomBytes = 0): Promise<number | null | undefined> {
    return this.#asked(async () => {
      try {
        const { config, state } = await this.#manager.streams.info(this.name);
        const held = limitOf(config.max_bytes);
        const next = limitBytes === null ? null : Math.max(limitBytes, state.bytes + headroomBytes);
        if (held === next || (held !== null && next !== null && next > (limitBytes ?? 0) && held < next)) return held;
        await this.#manager.streams.update(this.name, { ...config, max_bytes: next ?? -1 });
        return next;
      } catch (cause) {
        if (codeOf(cause) === STREAM_NOT_FOUND) return undefined;
        throw cause;
      }
    });
  }

  /** Stored messages, their bytes as the server counts them, and what may be there; null when there is no stream. */
  async size(): Promise<StreamSize | null> {
    return this.#asked(async () => {
      try {
        const { state, config } = await this.#manager.streams.info(this.name);
        const { limits, storage } = await this.#manager.getAccountInfo();
        const accountBytes = limitOf(limits.max_storage);
        // What other streams of the account hold is lost to this one.
        const accountShare = accountBytes === null ? null : Math.max(0, accountBytes - Math.max(0, storage - state.bytes));
        const known = [limitOf(config.max_bytes), accountShare].filter((bytes) => bytes !== null);
        const limitBytes = known.length === 0 ? null : Math.min(...known);
        return { messages: state.messages, bytes: state.bytes, limitBytes };
      } catch (cause) {
        if (codeOf(cause) === STREAM_NOT_FOUND) return null;
        throw cause;
      }
    });
  }

  /** What tells it from another stream of its name, one before or behind it; null when there is no stream. Throws `Retryable` BUS-001. */
  async identity(): Promise<string | null> {
    return this.#asked(async () => {
      try {
        return (await this.#manager.streams.info(this.name)).created;
      } catch (cause) {
        if (codeOf(cause) === STREAM_NOT_FOUND) return null;
        throw cause;
      }
    });
  }

  /** The last message of a subject, or null where there is none. */
  async tail(subject: string): Promise<StoredMessage | null> {
    return this.#message({ last_by_subj: subject });
  }

  /** The message at a sequence, or null where it was removed or never was. */
  async at(sequence: number): Promise<PlacedMessage | null> {
    return this.#message({ seq: sequence });
  }

  /**
   * Appends one message if the subject's last one is at `expectedSequence` (0: the subject is empty). Never repeated by itself
   * (H2); after `unknown` the caller reads the tail. Throws `Retryable` BUS-005 when the stream is full,
   * `RangeError` when the message is larger than the server takes: the batch must be made anew.
   */
  async append(subject: string, payload: Uint8Array, expectedSequence: number): Promise<AppendResult> {
    const limitBytes = this.#link.maxBatchBytes;
    if (payload.length > limitBytes)
      throw new RangeError(`a batch of ${payload.length} bytes for ${subject}; the bus takes ${limitBytes}`);
    try {
      const options = {
        expect: { lastSubjectSequence: expectedSequence, streamName: this.name },
        timeout: PUBLISH_TIMEOUT_MS,
        retries: 0,
      };
      const stored = await this.#link.ask(() => this.#client.publish(subject, payload, options));
      this.#link.figures.batchesStored++;
      this.#link.figures.bytesStored += payload.length;
      return { outcome: "stored", sequence: stored.seq };
    } catch (cause) {
      const code = codeOf(cause);
      if (code === WRONG_LAST_SEQUENCE || code === WRONG_LAST_SEQUENCE_CONSTANT) {
        this.#link.figures.batchesRefused++;
        return { outcome: "refused" };
      }
      if (FULL.has(code)) throw new Retryable("BUS-005", "bus", `stream ${this.name} takes no more`, { cause });
      this.#link.figures.batchesUnanswered++;
      return { outcome: "unknown", cause };
    }
  }

  /** Reads a subject as a log, from the first message at or above `fromSequence`, for ever. */
  async read(subject: string, fromSequence: number): Promise<LaneReader> {
    return this.#asked(() => LaneReader.open(this.#link, this.#manager, this.name, subject, fromSequence));
  }

  /**
   * Removes messages of a subject below `sequence`. The caller sees to it that one remains: the tail is what a resume needs.
   * nats-server 2.9 gives the room back to the stream's own limit, and to the account's only when it is started again.
   */
  async trim(subject: string, sequence: number): Promise<number> {
    // The server takes 1 and 0 for no limit, and removes the whole subject.
    if (sequence <= 1) return 0;
    return this.#asked(async () => (await this.#manager.streams.purge(this.name, { filter: subject, seq: sequence })).purged);
  }

  /** Removes the stream with all that it holds. */
  async remove(): Promise<void> {
    await this.#asked(async () => {
      try {
        await this.#manager.streams.delete(this.name);
      } catch (cause) {
        if (codeOf(cause) !== STREAM_NOT_FOUND) throw cause;
      }
    });
  }

  /** Runs a request to JetStream; whatever goes wrong and is no fault already becomes `Retryable` BUS-001. */
  async #asked<T>(request: () => Promise<T>): Promise<T> {
    try {
      return await this.#link.ask(request);
    } catch (cause) {
      if (cause instanceof Halt || cause instanceof Retryable) throw cause;
      throw new Retryable("BUS-001", "bus", "JetStream did not answer as expected", { cause });
    }
  }

  async #message(query: { seq: number } | { last_by_subj: string }): Promise<PlacedMessage | null> {
    return this.#asked(async () => {
      try {
        const stored = await this.#manager.streams.getMessage(this.name, query);
        return stored === null ? null : { subject: stored.subject, sequence: stored.seq, payload: stored.data };
      } catch (cause) {
        const code = codeOf(cause);
        if (code === MESSAGE_NOT_FOUND || code === STREAM_NOT_FOUND) return null;
        throw cause;
      }
    });
  }
}

/** NATS writes -1, and for an account 0 too, where there is no limit. */
function limitOf(bytes: number): number | null {
  return bytes > 0 ? bytes : null;
}

function codeOf(cause: unknown): number {
  return cause instanceof JetStreamApiError ? cause.code : 0;
}

/** What decides whether a stored message stays until it is trimmed. Limits that make a stream refuse are the operator's own affair. */
function keptBy(
  config: Pick<StreamConfig, "retention" | "storage" | "discard" | "max_age" | "max_msgs_per_subject" | "subjects">,
): string {
  const { retention, storage, discard, max_age: age, max_msgs_per_subject: perSubject, subjects } = config;
  return `retention ${retention}, storage ${storage}, discard ${discard}, max_age ${age}, max_msgs_per_subject ${perSubject}, subjects ${subjects.join(" ")}`;
}
