import type { Part } from "@sluice/wire";

/**
 * Tells which parts of a unit or value belong together: they are contiguous in their lane. Half a set that a fence or another set follows
 * is void.
 */
export class PartSequence {
  #id = -1;
  #next = -1;

  /** What a part is: the first of a set, the next of the one that is open, or none that counts. */
  take({ id, index, final }: Part): "begins" | "goesOn" | "void" {
    const isNext = this.#next === index && this.#id === id;
    const place = index === 0 ? "begins" : isNext ? "goesOn" : "void";
    this.#id = id;
    this.#next = place === "void" || final ? -1 : index + 1;
    return place;
  }

  clear(): void {
    this.#next = -1;
  }
}
