import type { LaneStream, Records } from "@sluice/bus";
import { Retryable, type Clock } from "@sluice/runtime";
import {
  decodeBatch,
  FIRST_COPY,
  liveSubject,
  recordKey,
  servedCopy,
  shardRecord,
  voidCopiesRecord,
  type Addition,
  type ServedCopy,
} from "@sluice/wire";
import type { CopyNeeded } from "../copy-needed.ts";
import type { LaneReport } from "../lane-report.ts";
import { isUnderWay } from "./joining.ts";

const LOOK_MS = 1_000;
const ATTEMPTS = 10;
const LONGEST_WHY = 500;
/** Groups come and go; those that are there are 16 at most. */
const MOST_GROUPS = 64;

export interface LaneCopiesOptions {
  readonly pipeline: string;
  readonly group: string;
  readonly shard: string;
  readonly lane: number;
  readonly addition: Addition;
  readonly records: Records;
  readonly stream: LaneStream;
  readonly clock: Clock;
  readonly report: LaneReport;
}

/** What becomes of a lane that can't go on with what it has: see `LaneCopies.refuse`. */
export type Refusal = "superseded" | "asked" | "epoch";

/**
 * Which copy of its shard serves a lane of a group that was added after the pipeline's first start, as the shard's record says, and how the
 * lane says that it can't use it: then the group gets another one, and nobody else is concerned.
 */
export class LaneCopies {
  readonly #options: LaneCopiesOptions;
  /** What this lane could not use, or no lane of the group. */
  #refused: Pick<ServedCopy, "epoch" | "copy"> | null = null;
  #last: ServedCopy | null = null;

  constructor(options: LaneCopiesOptions) {
    this.#options = options;
  }

  /** See `isUnderWay`. Throws `Retryable` BUS-001. */
  async goesOn(stood: ServedCopy): Promise<boolean> {
    const { records, pipeline, shard, addition } = this.#options;
    const record = await records.get(recordKey.shard(pipeline, shard), shardRecord);
    const isSo = record !== null && isUnderWay(stood, record.value, addition, this.#refused);
    if (isSo) this.#last = stood;
    return isSo;
  }

  /** The copy as the record has it now; null while none serves the group. Throws `Retryable` BUS-001. */
  async served(): Promise<ServedCopy | null> {
    const { records, pipeline, shard, group, addition } = this.#options;
    const record = await records.get(recordKey.shard(pipeline, shard), shardRecord);
    const found = record === null ? null : servedCopy(record.value, group, addition);
    const refused = this.#refused;
    const isRefused = found !== null && refused?.epoch === found.epoch && found.copy <= refused.copy;
    return isRefused ? null : found;
  }

  /**
   * Waits for a copy that serves the lane, of epoch `atLeast` or a later one. That an epoch begins with one counts only when its fence is
   * in the lane: an ingest that ends before that goes on in the epoch before. Null when `signal` aborts first.
   */
  async awaited(signal: AbortSignal, atLeast = 0): Promise<ServedCopy | null> {
    const { clock, shard, report } = this.#options;
    const since = clock.nowMs();
    for (let isTold = false; !signal.aborted; isTold = true) {
      const found = await this.served();
      if (
        found !== null &&
        found.epoch >= atLeast &&
        (found.copy !== FIRST_COPY || (await this.#storedEpoch()) >= found.epoch)
      ) {
        if (isTold) report.tell({ retry: null });
        this.#last = found;
        return found;
      }
      const reason = `waits for the group's copy of shard ${shard}`;
      if (!isTold) report.tell({ retry: { endpoint: `source ${shard}`, since, reason, isTurn: true } });
      await clock.sleep(LOOK_MS, signal);
    }
    return null;
  }

  /** The lane's mark is of a later copy: its own has to come above that. */
  async outdone(mark: Pick<ServedCopy, "epoch" | "copy">): Promise<void> {
    await this.#void(mark, `a lane's mark is of copy ${mark.copy}`);
  }

  /**
   * The lane can't go on. `superseded`: that was an earlier epoch's, and a later one's copy is there; `asked`: the group gets another copy;
   * `epoch`: only a later epoch helps, which the caller asks for.
   */
  async refuse({ epoch, message }: CopyNeeded): Promise<Refusal> {
    const last = this.#last;
    if (last === null || epoch > last.epoch) return "epoch";
    if (epoch < last.epoch) return "superseded";
    await this.#void(last, message);
    return "asked";
  }

  async #void({ epoch, copy }: Pick<ServedCopy, "epoch" | "copy">, why: string): Promise<void> {
    const { records, pipeline, shard, group } = this.#options;
    this.#refused = { epoch, copy };
    const key = recordKey.voidCopies(pipeline, shard);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const current = await records.get(key, voidCopiesRecord);
      const known = current?.value.groups[group];
      if (known !== undefined && (known.epoch > epoch || (known.epoch === epoch && known.copy >= copy))) return;
      const others = Object.entries(current?.value.groups ?? {}).filter(([name]) => name !== group);
      const groups = {
        ...Object.fromEntries(others.slice(1 - MOST_GROUPS)),
        [group]: { epoch, copy, why: why.slice(0, LONGEST_WHY) },
      };
      if ((await records.compareAndSet(key, voidCopiesRecord, { groups }, current?.revision ?? 0)) !== null) return;
    }
    throw new Retryable("BUS-001", "bus", `${key} was changed by others ${ATTEMPTS} times in a row`);
  }

  /** Epoch of the lane's last message; 0 without one. */
  async #storedEpoch(): Promise<number> {
    const { stream, pipeline, shard, lane } = this.#options;
    const tail = await stream.tail(liveSubject(pipeline, shard, lane));
    return tail === null ? 0 : decodeBatch(tail.payload).epoch;
  }
}
