/** What a destination must hold for one key, known to the workload alone and not read back from any server. */
export interface CounterExpectation {
  readonly db: number;
  readonly key: string;
  /** integer and float: the number itself; field: field "n" of a hash; ledger: the length of a list of "<actor>:<number>" elements. */
  readonly form: CounterForm;
  /** What was answered without an error. */
  readonly value: number;
  /** Present if commands on it had no answer, because a connection was lost: each of them took place or did not. */
  readonly doubt?: CounterDoubt;
}

export type CounterForm = "integer" | "float" | "field" | "ledger";

/** What a key may hold, commands with an unknown outcome included. */
export interface CounterDoubt {
  readonly lowest: number;
  readonly highest: number;
  /** The elements of a ledger that may be missing. */
  readonly numbers: readonly number[];
}

/** A change of a counter that counts once its command has been answered without an error. */
export interface CounterEffect {
  readonly key: string;
  readonly form: CounterForm;
  /** Multiples of 0.25 for floats, so that sums are exact. */
  readonly delta: number;
  /** Of the element of a ledger. */
  readonly number?: number;
}

interface Entry {
  readonly db: number;
  readonly key: string;
  readonly form: CounterForm;
  value: number;
  /** Sums of the changes in doubt that lower and that raise it. */
  loss: number;
  gain: number;
  doubtful: number;
  readonly numbers: number[];
}

/** Adds up the effects of commands by database. */
export class CounterBook {
  readonly #entries = new Map<string, Entry>();

  add(db: number, effect: CounterEffect): void {
    this.#entry(db, effect).value += effect.delta;
  }

  /** For a command whose outcome is unknown. */
  addDoubtful(db: number, effect: CounterEffect): void {
    const entry = this.#entry(db, effect);
    entry.doubtful++;
    if (effect.delta < 0) entry.loss -= effect.delta;
    else entry.gain += effect.delta;
    if (effect.number !== undefined) entry.numbers.push(effect.number);
  }

  expectations(): CounterExpectation[] {
    return [...this.#entries.values()].map(({ db, key, form, value, loss, gain, doubtful, numbers }) => {
      const expectation = { db, key, form, value };
      if (doubtful === 0) return expectation;
      return { ...expectation, doubt: { lowest: value - loss, highest: value + gain, numbers: [...numbers] } };
    });
  }

  #entry(db: number, { key, form }: CounterEffect): Entry {
    const id = `${db} ${key}`;
    const known = this.#entries.get(id);
    if (known !== undefined) return known;
    const entry: Entry = { db, key, form, value: 0, loss: 0, gain: 0, doubtful: 0, numbers: [] };
    this.#entries.set(id, entry);
    return entry;
  }
}
