import { JetStreamApiError, type JetStreamClient, type JetStreamManager } from "@nats-io/jetstream";
import { Kvm, type KV, type KvEntry, type KvWatchEntry } from "@nats-io/kv";
import type { QueuedIterator } from "@nats-io/transport-node";
import { describeFault, Retryable, systemClock, type Logger } from "@sluice/runtime";
import { RECORDS_BUCKET } from "@sluice/wire";
import type { z } from "zod";
import type { Link } from "./link.ts";
import { raiseReplicas } from "./replicas.ts";

/** A record as read: `revision` is what a compare-and-set names. */
export interface Stored<T> {
  readonly value: T;
  readonly revision: number;
}

/** One change of a watched record; `value` is null when it was removed. */
export interface RecordChange {
  readonly key: string;
  readonly value: unknown;
  readonly revision: number;
}

/** Ends a watch. */
export type Unwatch = () => void;

/** A record is not what its schema says: another release wrote it, or somebody by hand. Names the record and each fault in it. */
export class RecordError extends Error {
  override readonly name = "RecordError";
}

const WRONG_LAST_SEQUENCE = 10071;
const WRONG_LAST_SEQUENCE_CONSTANT = 10164;
const REFUSED = new Set([WRONG_LAST_SEQUENCE, WRONG_LAST_SEQUENCE_CONSTANT]);
const WATCH_RESTART_MS = 250;
/** Records that are asked for at a time. */
const AT_A_TIME = 64;
/** Where a bucket's records are, by NATS' convention (ADR-8). */
const STREAM = `KV_${RECORDS_BUCKET}`;
const SUBJECTS = `$KV.${RECORDS_BUCKET}.`;

/**
 * The records of all pipelines: JSON in one KV bucket, checked by their schema on every read.
 * A decision is made by a compare-and-set *write*; a read alone proves nothing (H42), so direct gets are off.
 */
export class Records {
  readonly #bucket: KV;
  readonly #manager: JetStreamManager;
  readonly #link: Link;
  readonly #log: Logger;
  readonly #watches = new Set<Unwatch>();

  private constructor(bucket: KV, manager: JetStreamManager, link: Link, log: Logger) {
    this.#bucket = bucket;
    this.#manager = manager;
    this.#link = link;
    this.#log = log;
  }

  static async open(
    link: Link,
    client: JetStreamClient,
    manager: JetStreamManager,
    replicas: number,
    log: Logger,
  ): Promise<Records> {
    const bucket = await new Kvm(client).create(RECORDS_BUCKET, { history: 1, allow_direct: false, replicas });
    const { config } = await manager.streams.info(STREAM);
    await raiseReplicas(manager, config, replicas);
    return new Records(bucket, manager, link, log);
  }

  /** The record, or null where there is none. Throws `Retryable` BUS-001, `RecordError`. */
  async get<S extends z.ZodType>(key: string, schema: S): Promise<Stored<z.output<S>> | null> {
    const entry = await this.#asked(() => this.#bucket.get(key));
    if (entry === null) return null;
    if (entry.operation !== "PUT") return null;
    return { value: checked(key, schema, jsonOf(entry)), revision: entry.revision };
  }

  /** Writes without asking who wrote before: only for records with one writer, which nothing is decided by. */
  async put<S extends z.ZodType>(key: string, schema: S, value: z.input<S>): Promise<number> {
    checked(key, schema, value);
    return this.#asked(() => this.#bucket.put(key, JSON.stringify(value)));
  }

  /**
   * Writes if the record is still at `revision` (0: there is none). The new revision, or null when it is not.
   * When no answer came (`Retryable`), the outcome is unknown: read again.
   */
  async compareAndSet<S extends z.ZodType>(
    key: string,
    schema: S,
    value: z.input<S>,
    revision: number,
  ): Promise<number | null> {
    checked(key, schema, value);
    return this.#asked(async () => {
      try {
        if (revision === 0) return await this.#bucket.create(key, JSON.stringify(value));
        return await this.#bucket.update(key, JSON.stringify(value), revision);
      } catch (cause) {
        if (cause instanceof JetStreamApiError && REFUSED.has(cause.code)) return null;
        throw cause;
      }
    });
  }

  async remove(key: string): Promise<void> {
    await this.#asked(() => this.#bucket.delete(key));
  }

  /** Removes a record that is still at `revision`; rejects when it is not. */
  async removeIf(key: string, revision: number): Promise<void> {
    await this.#asked(() => this.#bucket.delete(key, { previousSeq: revision }));
  }

  /**
   * Keys of the records under `filter`, in no order. They come from the stream's list of subjects, and each is asked for, as one that was
   * removed is there, too: the library's own way is a consumer whose end never comes while records are written. Throws `Retryable` BUS-001.
   */
  async keys(filter: string): Promise<string[]> {
    const { state } = await this.#asked(() => this.#manager.streams.info(STREAM, { subjects_filter: SUBJECTS + filter }));
    const keys = Object.keys(state.subjects ?? {}).map((subject) => subject.slice(SUBJECTS.length));
    const found: string[] = [];
    for (let at = 0; at < keys.length; at += AT_A_TIME) {
      const asked = keys.slice(at, at + AT_A_TIME).map(async (key) => {
        const entry = await this.#asked(() => this.#bucket.get(key));
        if (entry?.operation === "PUT") found.push(key);
      });
      await Promise.all(asked);
    }
    return found;
  }

  /**
   * Calls `changed` for every record under `filter` as it is now and for every change after that, in order, until the returned
   * function is called. After the bus was away all current records come again: `changed` must bear repetition. A record that is
   * no JSON is logged and left out; so is what `changed` throws.
   */
  watch(filter: string, changed: (change: RecordChange) => void): Unwatch {
    const ended = new AbortController();
    let current: QueuedIterator<KvWatchEntry> | null = null;
    let connections = 0;
    const follow = async (): Promise<void> => {
      while (!ended.signal.aborted && !this.#link.connection.isClosed()) {
        const connection = connections;
        try {
          current = await this.#link.ask(() => this.#bucket.watch({ key: filter }));
          if (connection !== connections || ended.signal.aborted) current.stop();
          for await (const entry of current) {
            if (ended.signal.aborted) break;
            this.#deliver(entry, changed);
          }
        } catch (cause) {
          this.#log.debug({ filter, cause: String(cause) }, "watch of records is made anew");
        }
        await systemClock.sleep(WATCH_RESTART_MS, ended.signal);
      }
    };
    // The consumer behind a watch lives in the server's memory: after a restart of the server it is gone without a word.
    const forgetLink = this.#link.onChange(() => {
      connections++;
      current?.stop();
    });
    void follow();
    const unwatch = (): void => {
      ended.abort();
      forgetLink();
      current?.stop();
      this.#watches.delete(unwatch);
    };
    this.#watches.add(unwatch);
    return unwatch;
  }

  close(): void {
    for (const unwatch of this.#watches) unwatch();
  }

  #deliver(entry: KvWatchEntry, changed: (change: RecordChange) => void): void {
    try {
      changed({ key: entry.key, revision: entry.revision, value: entry.operation === "PUT" ? jsonOf(entry) : null });
    } catch (cause) {
      this.#log.error(
        { key: entry.key, revision: entry.revision },
        `a change of a record is left out: ${describeFault(cause)}`,
      );
    }
  }

  async #asked<T>(request: () => Promise<T>): Promise<T> {
    try {
      return await this.#link.ask(request);
    } catch (cause) {
      throw new Retryable("BUS-001", "bus", "the records can't be reached", { cause });
    }
  }
}

function checked<S extends z.ZodType>(key: string, schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues.map(({ path, message }) => `${path.length === 0 ? "it" : path.join(".")}: ${message}`);
  throw new RecordError(`record ${key} is not what this release writes: ${faults.slice(0, 5).join("; ")}`);
}

function jsonOf(entry: KvEntry): unknown {
  try {
    return JSON.parse(entry.string()) as unknown;
  } catch (cause) {
    throw new RecordError(`record ${entry.key} is no JSON`, { cause });
  }
}
