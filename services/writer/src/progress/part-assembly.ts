import type { Batch } from "@sluice/wire";

/**
 * Collects the parts of one unit or value until its final one: as a list of what arrived, never joined here. Parts are
 * contiguous in their lane; half a set that a fence or another set follows is void.
 */
export class PartAssembly {
  #parts: Batch[] = [];

  /** All parts once `batch` is the final one; null while more are to come or when the set is void. */
  add(batch: Batch): readonly Batch[] | null {
    const part = batch.part;
    if (part === null) return null;
    const first = this.#parts[0]?.part;
    const continues = first !== undefined && first !== null && first.id === part.id && part.index === this.#parts.length;
    if (part.index === 0) this.#parts = [];
    else if (!continues) {
      this.#parts = [];
      return null;
    }
    this.#parts.push(batch);
    if (!part.final) return null;
    const parts = this.#parts;
    this.#parts = [];
    return parts;
  }

  clear(): void {
    this.#parts = [];
  }
}
