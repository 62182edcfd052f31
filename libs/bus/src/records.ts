import { JetStreamApiError, type JetStreamClient } from "@nats-io/jetstream";
import { Kvm, type KV, type KvEntry, type KvWatchEntry } from "@nats-io/kv";
import type { NatsConnection, QueuedIterator } from "@nats-io/transport-node";
import { Retryable, type Logger } from "@sluice/runtime";
import { RECORDS_BUCKET } from "@sluice/wire";
import type { z } from "zod";

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

const WRONG_LAST_SEQUENCE = 10071;
const WATCH_RESTART_MS = 250;

/**
 * The records of all pipelines: JSON in one KV bucket, checked by their schema on every read.
 * A decision is made by a compare-and-set *write*; a read alone proves nothing (H42), so direct gets are off.
 */
export class Records {
  readonly #bucket: KV;
  readonly #connection: NatsConnection;
  readonly #log: Logger;
  readonly #watches = new Set<Unwatch>();

  private constructor(bucket: KV, connection: NatsConnection, log: Logger) {
    this.#bucket = bucket;
    this.#connection = connection;
    this.#log = log;
  }

  static async open(connection: NatsConnection, client: JetStreamClient, log: Logger): Promise<Records> {
    const bucket = await new Kvm(client).create(RECORDS_BUCKET, { history: 1, allow_direct: false });
    return new Records(bucket, connection, log);
  }

  /** The record, or null where there is none. Throws `Retryable` BUS-001; a record that breaks its schema is an error, too. */
  async get<S extends z.ZodType>(key: string, schema: S): Promise<Stored<z.output<S>> | null> {
    const entry = await this.#asked(() => this.#bucket.get(key));
    if (entry === null) return null;
    if (entry.operation !== "PUT") return null;
    return { value: schema.parse(jsonOf(entry)), revision: entry.revision };
  }

  /** Writes without asking who wrote before: only for records with one writer, which nothing is decided by. */
  async put<S extends z.ZodType>(key: string, schema: S, value: z.input<S>): Promise<number> {
    schema.parse(value);
    return this.#asked(() => this.#bucket.put(key, JSON.stringify(value)));
  }

  /**
   * Writes if the record is still at `revision` (0: there is none). The new revision, or null when it is not.
   * When no answer came (`Retryable`), the outcome is unknown: read again.
   */
  async compareAndSet<S extends z.ZodType>(key: string, schema: S, value: z.input<S>, revision: number): Promise<number | null> {
    schema.parse(value);
    return this.#asked(async () => {
      try {
        if (revision === 0) return await this.#bucket.create(key, JSON.stringify(value));
        return await this.#bucket.update(key, JSON.stringify(value), revision);
      } catch (cause) {
        if (cause instanceof JetStreamApiError && cause.code === WRONG_LAST_SEQUENCE) return null;
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
   * Calls `changed` for every record under `filter` as it is now and for every change after that, in order, until the returned
   * function is called. After the bus was away all current records come again: `changed` must bear repetition.
   */
  watch(filter: string, changed: (change: RecordChange) => void): Unwatch {
    let stopped = false;
    let current: QueuedIterator<KvWatchEntry> | null = null;
    const follow = async (): Promise<void> => {
      while (!stopped && !this.#connection.isClosed()) {
        try {
          current = await this.#bucket.watch({ key: filter });
          for await (const entry of current) {
            if (stopped) break;
            changed(changeOf(entry));
          }
        } catch (cause) {
          this.#log.debug({ filter, cause: String(cause) }, "watch of records is made anew");
        }
        if (!stopped) await new Promise((resolve) => setTimeout(resolve, WATCH_RESTART_MS));
      }
    };
    // The consumer behind a watch lives in the server's memory: after a restart of the server it is gone without a word.
    const renew = async (): Promise<void> => {
      for await (const status of this.#connection.status()) {
        if (stopped) break;
        if (status.type === "reconnect") current?.stop();
      }
    };
    void follow();
    void renew();
    const unwatch = (): void => {
      stopped = true;
      current?.stop();
      this.#watches.delete(unwatch);
    };
    this.#watches.add(unwatch);
    return unwatch;
  }

  close(): void {
    for (const unwatch of this.#watches) unwatch();
  }

  async #asked<T>(request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (cause) {
      throw new Retryable("BUS-001", "bus", "the records can't be reached", { cause });
    }
  }
}

function changeOf(entry: KvWatchEntry): RecordChange {
  return { key: entry.key, revision: entry.revision, value: entry.operation === "PUT" ? jsonOf(entry) : null };
}

function jsonOf(entry: KvEntry): unknown {
  return JSON.parse(entry.string()) as unknown;
}
