import type { Batch } from "@sluice/wire";

/** What a copy stands for: everything up to `offset` of the history `replid`, in an epoch of the shard. */
export interface CopyPoint {
  readonly epoch: number;
  readonly offset: number;
  readonly replid: string;
}

export type LandingStep =
  /** Not here: the next message is to be read. */
  | { readonly kind: "on" }
  /** The lane goes on here: units of this message that end above the offset, and all that follow. */
  | { readonly kind: "found" }
  /** A later epoch has begun: its own copy serves everybody. */
  | { readonly kind: "over" }
  /** What is stored does not lead on from the copy. */
  | { readonly kind: "void"; readonly why: string };

const ON: LandingStep = { kind: "on" };

/**
 * Finds where a lane goes on behind a copy that was made beside its changes: the message that holds the copy's offset S, or ends there.
 *
 *     messages   [900 … 960] [960 … 1010] [1010 … 1100]        S = 1000: the second; its units up to 1000 are in the copy
 *
 * S is anywhere: in the middle of a message, at its edge, or above all that is stored yet, and then the message that holds it is waited for.
 * Offsets are worth something in their history only: the message must bear the copy's replication id. Where S is the edge between two, either
 * may, since a history that goes on under another id shares everything up to there. A copy whose S lies before all that the lane still holds,
 * or in another history, is void.
 */
export class LandingSearch {
  readonly #point: CopyPoint;
  #term = 0;
  #isIn = false;
  /** Of a message that ends at S and is of another history. */
  #found: string | null = null;

  constructor(point: CopyPoint) {
    this.#point = point;
  }

  /** To be asked with every message of the lane's changes, from the first one that is stored. */
  next(batch: Pick<Batch, "epoch" | "term" | "previous" | "last" | "replid" | "part">): LandingStep {
    const { epoch, offset, replid } = this.#point;
    if (batch.epoch > epoch) return { kind: "over" };
    if (batch.epoch < epoch || batch.term < this.#term) return ON;
    this.#term = batch.term;
    if (batch.previous > offset) return { kind: "void", why: this.#whyNot(batch.previous) };
    this.#isIn = true;
    const isOpenPart = batch.part !== null && !batch.part.final;
    if (batch.last < offset || isOpenPart) return ON;
    if (batch.replid === replid) return { kind: "found" };
    this.#found = batch.replid;
    // A fence may follow that goes on from here in the copy's history.
    return batch.last === offset ? ON : { kind: "void", why: this.#whyNot(batch.last) };
  }

  #whyNot(found: number): string {
    const { offset, replid } = this.#point;
    if (this.#found !== null)
      return `it stands for offset ${offset} of history ${replid}, and the changes there are of history ${this.#found}`;
    if (!this.#isIn) return `it stands for offset ${offset}, and the changes that are stored begin behind ${found}`;
    return `it stands for offset ${offset}, and the changes there are missing: what is stored goes on from ${found}`;
  }
}
