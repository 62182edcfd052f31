import { copyOffsetOf, decodeBatch, liveSubject, type Batch, type ServedCopy } from "@sluice/wire";
import { CopyNeeded } from "../copy-needed.ts";
import type { LaneSession } from "../lane-session.ts";
import { LaneLog, type LoggedBatch } from "../progress/lane-log.ts";
import type { CopyOrigin, Landing } from "./copy-origin.ts";
import type { LaneCopies } from "./lane-copies.ts";
import { LandingSearch } from "./landing-search.ts";

/** So often a lane that waits for changes looks whether its copy still counts. */
const LOOK_MS = 1_000;

/** A copy that was made for groups that were added while the shard's changes flowed. Its end says S; see `LandingSearch`. */
export class GroupCopy implements CopyOrigin {
  readonly epoch: number;
  readonly copy: number;
  readonly #session: LaneSession;
  readonly #copies: LaneCopies;

  constructor(session: LaneSession, copies: LaneCopies, { epoch, copy }: ServedCopy) {
    this.#session = session;
    this.#copies = copies;
    this.epoch = epoch;
    this.copy = copy;
  }

  get shard(): string {
    return this.#session.options.shard;
  }

  async isOver(): Promise<boolean> {
    const { stream, pipeline, shard, lane } = this.#session.options;
    const tail = await stream.tail(liveSubject(pipeline, shard, lane));
    if (tail !== null && decodeBatch(tail.payload).epoch > this.epoch) return true;
    const served = await this.#copies.served();
    return served?.epoch !== this.epoch || served.copy !== this.copy;
  }

  async isEndDue(): Promise<boolean> {
    const served = await this.#copies.served();
    return served?.copy === this.copy && served.epoch === this.epoch && served.isStored;
  }

  async landing(end: Batch, endSequence: number): Promise<Landing | null> {
    const { stream, pipeline, shard, lane, signal, report } = this.#session.options;
    const offset = copyOffsetOf(end);
    if (offset === null) throw this.#void(`its end, message ${endSequence}, does not say for which offset it stands`);
    const search = new LandingSearch({ epoch: this.epoch, offset, replid: end.replid });
    const changes = await LaneLog.open(stream, liveSubject(pipeline, shard, lane), shard, 1, signal);
    try {
      for (;;) {
        const next = changes.nextIfReady() ?? (await this.#next(changes, offset));
        if (next === null) return null;
        const step = search.next(next.batch, next.sequence);
        if (step.kind === "over") return null;
        if (step.kind === "void") throw this.#void(step.why);
        if (step.kind === "found") return step.landing;
      }
    } finally {
      await changes.close();
      report.tell({ retry: null });
    }
  }

  /** The next message, for as long as the copy counts. */
  async #next(changes: LaneLog, offset: number): Promise<LoggedBatch | null> {
    const { clock, signal, report, shard } = this.#session.options;
    const since = clock.nowMs();
    const waited = changes.next();
    waited.catch(() => undefined);
    for (;;) {
      const decided = new AbortController();
      const due = clock.sleep(LOOK_MS, AbortSignal.any([signal, decided.signal])).then(() => undefined);
      const first = await Promise.race([waited, due]);
      decided.abort();
      if (first !== undefined) return first;
      if (signal.aborted || (await this.isOver())) return null;
      const reason = `waits until the source's changes up to offset ${offset} are stored, for which the copy stands`;
      report.tell({ retry: { endpoint: `source ${shard}`, since, reason, isTurn: true } });
    }
  }

  #void(why: string): CopyNeeded {
    return new CopyNeeded(`copy ${this.copy} of lane ${this.#session.label} can't be gone on from: ${why}`, this.epoch);
  }
}
