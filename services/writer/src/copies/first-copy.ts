import { BatchKind, decodeBatch, FIRST_COPY, liveSubject, type Batch } from "@sluice/wire";
import { CopyNeeded } from "../copy-needed.ts";
import type { LaneSession } from "../lane-session.ts";
import type { LoggedBatch } from "../progress/lane-log.ts";
import type { CopyOrigin, Landing } from "./copy-origin.ts";

/**
 * The copy that an epoch begins with. The fence of the epoch stands where it does, S. Changes may be stored while it is still on its way, and
 * say so; any other mean that its end was stored: where it is not there, the bus has lost what it had acknowledged (H7).
 */
export class FirstCopy implements CopyOrigin {
  readonly copy = FIRST_COPY;
  readonly #session: LaneSession;
  readonly #fence: LoggedBatch;

  constructor(session: LaneSession, fence: LoggedBatch) {
    this.#session = session;
    this.#fence = fence;
  }

  get epoch(): number {
    return this.#fence.batch.epoch;
  }

  get shard(): string {
    return this.#fence.batch.shard;
  }

  async isOver(): Promise<boolean> {
    return ((await this.#tail())?.epoch ?? 0) > this.epoch;
  }

  async isEndDue(): Promise<boolean> {
    const tail = await this.#tail();
    // A fence is set before the source is asked for anything, by an ingest that begins anew, too.
    return tail?.epoch === this.epoch && tail.kind !== BatchKind.fence && !tail.besideCopy;
  }

  async landing(end: Batch): Promise<Landing> {
    const { batch, sequence } = this.#fence;
    // A later term's fence is not where the copy stands: what led from there to it was removed.
    if (end.term !== batch.term) {
      const what = `it was written in term ${end.term}, the changes begin with term ${batch.term}`;
      throw new CopyNeeded(`the copy of lane ${this.#session.label} is incomplete: ${what}`, this.epoch);
    }
    return { offset: batch.last, sequence };
  }

  async #tail(): Promise<Batch | null> {
    const { stream, pipeline, shard, lane } = this.#session.options;
    const tail = await stream.tail(liveSubject(pipeline, shard, lane));
    return tail === null ? null : decodeBatch(tail.payload);
  }
}
