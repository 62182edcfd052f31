/** What a destination must hold for one key, known to the workload alone and not read back from any server. */
export interface CounterExpectation {
  readonly db: number;
  readonly key: string;
  /** integer and float: the number itself; field: field "n" of a hash; ledger: the length of a list of "<actor>:<number>" elements. */
  readonly form: CounterForm;
  readonly value: number;
}

export type CounterForm = "integer" | "float" | "field" | "ledger";

/** A change of a counter that counts once its command has been answered without an error. */
export interface CounterEffect {
  readonly key: string;
  readonly form: CounterForm;
  /** Multiples of 0.25 for floats, so that sums are exact. */
  readonly delta: number;
}

/** Adds up the effects of commands by database. */
export class CounterBook {
  readonly #entries = new Map<string, { db: number; key: string; form: CounterForm; value: number }>();

  add(db: number, effect: CounterEffect): void {
    const id = `${db} ${effect.key}`;
    const entry = this.#entries.get(id);
    if (entry !== undefined) entry.value += effect.delta;
    else this.#entries.set(id, { db, key: effect.key, form: effect.form, value: effect.delta });
  }

  expectations(): CounterExpectation[] {
    return [...this.#entries.values()].map((entry) => ({ ...entry }));
  }
}
