import type { Batch } from "@sluice/wire";

/**
 * What one writer knows of the history behind its lane's marks, which marks don't say: the replication id under which the
 * offsets were written that it applied last. A position that is found again after the bus lost what led there is only worth
 * something in the same history: another primary may have filled the same offsets with other commands.
 */
export class AppliedHistory {
  #epoch = -1;
  #replid = "";
  #from = 0;
  #to = 0;

  /** Highest epoch that this writer has seen its pipeline in; -1 before the first. */
  get epoch(): number {
    return this.#epoch;
  }

  /** The pipeline has come to this epoch. */
  begins(epoch: number): void {
    if (epoch <= this.#epoch) return;
    this.#epoch = epoch;
    [this.#replid, this.#from, this.#to] = ["", 0, 0];
  }

  /** The batch is applied. */
  took({ epoch, replid, previous, last }: Pick<Batch, "epoch" | "replid" | "previous" | "last">): void {
    this.begins(epoch);
    const continues = replid === this.#replid && previous >= this.#from && previous <= this.#to;
    if (!continues) this.#from = previous;
    [this.#replid, this.#to] = [replid, last];
  }

  /** The id under which `offset` of `epoch` was written; null where this writer has not applied it. */
  replidAt(epoch: number, offset: number): string | null {
    return epoch === this.#epoch && offset > this.#from && offset <= this.#to ? this.#replid : null;
  }
}
