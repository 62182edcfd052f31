import type { LaneReader, LaneStream } from "@sluice/bus";
import { Halt } from "@sluice/runtime";
import { BatchError, decodeBatch, type Batch } from "@sluice/wire";

/** A batch with the sequence of its message. */
export interface LoggedBatch {
  readonly batch: Batch;
  readonly sequence: number;
}

/** One subject of a lane, read in order and decoded. Throws `Halt` BUS-004 at a message that can't be read or is another shard's. */
export class LaneLog {
  readonly #reader: LaneReader;
  readonly #subject: string;
  readonly #shard: string;

  private constructor(reader: LaneReader, subject: string, shard: string) {
    this.#reader = reader;
    this.#subject = subject;
    this.#shard = shard;
  }

  static async open(
    stream: LaneStream,
    subject: string,
    shard: string,
    fromSequence: number,
    signal: AbortSignal,
  ): Promise<LaneLog> {
    const reader = await stream.read(subject, fromSequence);
    const log = new LaneLog(reader, subject, shard);
    if (signal.aborted) await reader.close();
    else signal.addEventListener("abort", () => void reader.close(), { once: true });
    return log;
  }

  /** The next batch; null once the log is closed. */
  async next(): Promise<LoggedBatch | null> {
    const message = await this.#reader.next();
    return message === null ? null : this.#decode(message.payload, message.sequence);
  }

  /** The next batch that is in memory already, or undefined. */
  nextIfReady(): LoggedBatch | undefined {
    const message = this.#reader.nextIfReady();
    return message === undefined ? undefined : this.#decode(message.payload, message.sequence);
  }

  async close(): Promise<void> {
    await this.#reader.close();
  }

  #decode(payload: Uint8Array, sequence: number): LoggedBatch {
    const batch = this.#read(payload, sequence);
    if (batch.shard === this.#shard) return { batch, sequence };
    throw new Halt("BUS-004", `message ${sequence} of ${this.#subject} is of shard ${batch.shard}`);
  }

  #read(payload: Uint8Array, sequence: number): Batch {
    try {
      return decodeBatch(payload);
    } catch (cause) {
      if (!(cause instanceof BatchError)) throw cause;
      throw new Halt("BUS-004", `message ${sequence} of ${this.#subject} can't be read`, { cause });
    }
  }
}
