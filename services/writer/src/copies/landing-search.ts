import { BatchKind, type Batch } from "@sluice/wire";
import type { Landing } from "./copy-origin.ts";

/** What a copy stands for: everything up to `offset` of the history `replid`, in an epoch of the shard. */
export interface CopyPoint {
  readonly epoch: number;
  readonly offset: number;
  readonly replid: string;
}

export type LandingStep =
  /** Not here: the next message is to be read. */
  | { readonly kind: "on" }
  /** The lane goes on there: units that end above the offset, from this message on. */
  | { readonly kind: "found"; readonly landing: Landing }
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
 * Where S lies before the end of a unit in parts, the lane holds nothing between the end of what precedes the unit and S. So it goes on from there,
 * with the unit's first part:
 *
 *     messages   [900 … 960] [960 part 0] [960 part 1] [960 … 2000]        S = 1000: offset 960, the second
 *
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
  /** The unit in parts that is being read, as `PartAssembly` takes it; null when its begin was not there. */
  #unit: { readonly id: number; readonly sequence: number; count: number } | null = null;

  constructor(point: CopyPoint) {
    this.#point = point;
  }

  /** To be asked with every message of the lane's changes, from the first one that is stored. */
  next(batch: Pick<Batch, "kind" | "epoch" | "term" | "previous" | "last" | "replid" | "part">, sequence: number): LandingStep {
    const { epoch, offset, replid } = this.#point;
    if (batch.epoch > epoch) return { kind: "over" };
    if (batch.epoch < epoch || batch.term < this.#term) return ON;
    this.#term = batch.term;
    if (batch.previous > offset) return { kind: "void", why: this.#whyNot(batch.previous) };
    this.#isIn = true;
    this.#follow(batch, sequence);
    const isOpenPart = batch.part !== null && !batch.part.final;
    if (batch.last < offset || isOpenPart) return ON;
    if (batch.replid === replid) return this.#landing(batch, sequence);
    this.#found = batch.replid;
    // A fence may follow that goes on from here in the copy's history.
    return batch.last === offset ? ON : { kind: "void", why: this.#whyNot(batch.last) };
  }

  #follow({ kind, part }: Pick<Batch, "kind" | "part">, sequence: number): void {
    if (kind === BatchKind.fence) this.#unit = null;
    if (part === null) return;
    const unit = this.#unit;
    if (part.index === 0) this.#unit = { id: part.id, sequence, count: 1 };
    else if (unit?.id === part.id && unit.count === part.index) unit.count++;
    else this.#unit = null;
  }

  #landing({ part, previous, last }: Pick<Batch, "part" | "previous" | "last">, sequence: number): LandingStep {
    const { offset } = this.#point;
    // A unit that ends at S is in the copy, however it came.
    if (part === null || last === offset) return { kind: "found", landing: { offset, sequence } };
    if (this.#unit !== null) return { kind: "found", landing: { offset: previous, sequence: this.#unit.sequence } };
    const why = `it stands for offset ${offset}, and of the unit behind that, which ends at ${last}, the first parts are not stored`;
    return { kind: "void", why };
  }

  #whyNot(found: number): string {
    const { offset, replid } = this.#point;
    if (this.#found !== null)
      return `it stands for offset ${offset} of history ${replid}, and the changes there are of history ${this.#found}`;
    if (!this.#isIn) return `it stands for offset ${offset}, and the changes that are stored begin behind ${found}`;
    return `it stands for offset ${offset}, and the changes there are missing: what is stored goes on from ${found}`;
  }
}
