import { BatchKind, type Batch, type Position } from "@sluice/wire";

/** What a lane's next batch is to a writer that stands at a position. */
export type Step =
  /** Applied already, or void: nothing to do. */
  | { readonly kind: "skip" }
  /** Units above `offset` are to be applied; with parts: this is one of them, and only the final one ends the unit. */
  | { readonly kind: "apply" }
  /** Another history begins here: its full copy comes first. */
  | { readonly kind: "newEpoch" }
  /** A lower term begins behind a higher one: what counts terms has lost its memory, and nothing tells whose batches count. */
  | { readonly kind: "regress"; readonly term: number; readonly found: number }
  /** The batch holds offsets that were applied already, of another history: the source took another path from before them on. */
  | { readonly kind: "otherHistory"; readonly upTo: number; readonly found: string }
  /** What stands between the position and this batch is missing. */
  | { readonly kind: "gap"; readonly expected: number; readonly found: number };

/**
 * Up to `upTo` the lane is applied. `replid`: the replication id under which that offset was written, or its first digits; null where nobody knows:
 * then there must be only one up to there.
 */
export interface KnownHistory {
  readonly upTo: number;
  readonly replid: string | null;
}

const SKIP: Step = { kind: "skip" };
const APPLY: Step = { kind: "apply" };

/**
 * Follows the chain that a lane's batches form by `previous` and `last`, so that nothing is applied twice and nothing missing
 * goes unnoticed: a batch that begins behind the position is a gap (stop, never skip), one that ends at or before it is an
 * overlap (skip). After a fence batches of lower terms are void (H1, H3, H4, H7).
 */
export class LaneChain {
  #epoch: number;
  #offset: number;
  #term = 0;
  /** To be checked against the batches up to there; null once it was, and where there is nothing to check. */
  #history: KnownHistory | null;
  /** A batch of the known history was there. */
  #isMet = false;
  /** Of the first batch, where nobody knows a better one. */
  #replid: string | null = null;

  constructor(position: Pick<Position, "epoch" | "offset">, history: KnownHistory | null = null) {
    this.#epoch = position.epoch;
    this.#offset = position.offset;
    this.#history = history;
  }

  get offset(): number {
    return this.#offset;
  }

  /** Judges the next batch of the lane, in the order of the stream. */
  next(batch: Batch): Step {
    if (batch.kind === BatchKind.fence && batch.epoch === this.#epoch && batch.term < this.#term) {
      return { kind: "regress", term: this.#term, found: batch.term };
    }
    if (batch.epoch < this.#epoch || (batch.epoch === this.#epoch && batch.term < this.#term)) return SKIP;
    if (batch.epoch > this.#epoch) {
      if (batch.kind === BatchKind.fence) return { kind: "newEpoch" };
      return { kind: "gap", expected: this.#offset, found: batch.previous };
    }
    this.#term = batch.term;
    const known = this.#history;
    if (known !== null && !this.#isOf(known, batch)) {
      return { kind: "otherHistory", upTo: known.upTo, found: batch.replid };
    }
    if (batch.previous > this.#offset) return { kind: "gap", expected: this.#offset, found: batch.previous };
    const isOpenPart = batch.part !== null && !batch.part.final;
    if (isOpenPart) return batch.previous < this.#offset ? SKIP : APPLY;
    return batch.last <= this.#offset ? SKIP : APPLY;
  }

  #isOf({ upTo, replid }: KnownHistory, batch: Batch): boolean {
    const isCovering = batch.last >= upTo;
    if (isCovering) this.#history = null;
    // A fence that stands exactly there begins what comes behind it.
    if (batch.previous >= upTo) return true;
    if (replid === null) {
      this.#replid ??= batch.replid;
      return batch.replid === this.#replid;
    }
    const isOwn = batch.replid.startsWith(replid);
    this.#isMet ||= isOwn;
    // Another one may come before it, but not between what is of it: a source that is quiet now would never write what covers the offset.
    return isOwn || (!isCovering && !this.#isMet);
  }

  /** The lane is applied up to `offset`. */
  advance(offset: number): void {
    this.#offset = offset;
  }
}
