import type { AppendResult, StoredMessage } from "@sluice/bus";
import { persist, Retryable, type Clock } from "@sluice/runtime";
import type { BatchQueue } from "../lanes/lane-batch.ts";

/** The part of a stream that publishing needs. */
export interface AppendLog {
  append(subject: string, payload: Uint8Array, expectedSequence: number): Promise<AppendResult>;
  tail(subject: string): Promise<StoredMessage | null>;
}

export interface LanePublisherOptions {
  readonly log: AppendLog;
  readonly subject: string;
  /** Sequence of the subject's last message, 0 where there is none. */
  readonly sequence: number;
  readonly queue: BatchQueue;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** A batch was stored. */
  readonly onStored: () => void;
  /** Publishing ended for good; the intake that owns the lane must end, too. */
  readonly onFailed: (fault: unknown) => void;
  /** The bus does not take the batch for now; null once it does again. */
  readonly onWaiting: (fault: Retryable | null) => void;
}

/**
 * Publishes a lane's batches: one in flight, each with the sequence of the one before as a condition.
 *
 * So a gap, a duplicate or a second publisher is refused by JetStream itself. When no answer comes, the lane's tail tells what
 * happened: it is the batch ⇒ stored; it is still its predecessor ⇒ sent again; anything else ⇒ another process owns the lane,
 * and this one stops without reading on (H1, H2, H4).
 */
export class LanePublisher {
  readonly #options: LanePublisherOptions;
  #sequence: number;
  #running = false;

  constructor(options: LanePublisherOptions) {
    this.#options = options;
    this.#sequence = options.sequence;
  }

  /** There is something in the queue, or it may be closed now. Returns at once. */
  poke(): void {
    if (this.#running) return;
    this.#running = true;
    void this.#drain();
  }

  async #drain(): Promise<void> {
    const { queue, onStored, onFailed, signal } = this.#options;
    try {
      for (let batch = queue.take(); batch !== null; batch = queue.take()) {
        await this.#store(batch.message);
        if (signal.aborted) return;
        queue.stored();
        onStored();
      }
      this.#running = false;
    } catch (fault) {
      if (!signal.aborted) onFailed(fault);
    }
  }

  async #store(message: Buffer): Promise<void> {
    this.#sequence = await publishOne(message, { ...this.#options, sequence: this.#sequence });
  }
}

/** Publishes one message behind `sequence` and returns its own; waits for as long as the bus does not take it. Throws `LaneTaken`. */
export async function publishOne(
  message: Buffer,
  options: Pick<LanePublisherOptions, "log" | "subject" | "sequence" | "clock" | "signal" | "onWaiting">,
): Promise<number> {
  const { log, subject, sequence, clock, signal, onWaiting } = options;
  let isFirstTry = true;
  return persist(
    async () => {
      const known = isFirstTry ? null : await findTail(log, subject, message, sequence);
      isFirstTry = false;
      if (known !== null) return known;
      const result = await log.append(subject, message, sequence);
      if (result.outcome === "stored") return result.sequence;
      if (result.outcome === "unknown") {
        throw new Retryable("BUS-001", "bus", `no answer to a batch of ${message.length} bytes for ${subject}`, {
          cause: result.cause,
        });
      }
      const found = await findTail(log, subject, message, sequence);
      if (found !== null) return found;
      // An earlier try that nobody answered is still on its way to a quorum: it will be the tail, or will not have been.
      throw new Retryable("BUS-001", "bus", `${subject} refused a batch although its tail is the expected one, ${sequence}`);
    },
    { clock, signal, onWaiting },
  );
}

/** The sequence of `message` if it is the lane's tail, null if the message at `sequence` still is. Throws `LaneTaken` otherwise. */
async function findTail(log: AppendLog, subject: string, message: Buffer, sequence: number): Promise<number | null> {
  const tail = await log.tail(subject);
  const found = tail?.sequence ?? 0;
  if (found === sequence) return null;
  if (tail !== null && message.equals(tail.payload)) return found;
  throw new LaneTaken(subject, sequence, found);
}

/** Somebody else published to the lane. The intake ends; whether it may start again is for its lease and its term to say. */
export class LaneTaken extends Retryable {
  constructor(subject: string, expected: number, found: number) {
    super("BUS-002", "bus", `${subject} ends with message ${found}, not with ${expected}: another ingest publishes to it`);
  }
}
