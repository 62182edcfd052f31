/**
 * A small seeded generator: sfc32 (Chris Doty-Humphrey, PractRand), seeded through splitmix32. The same seed gives the same
 * sequence on every machine. Not for cryptography.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param seed any integer; the lowest 32 bits count */
  constructor(seed: number) {
    let state = seed | 0;
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0;
      let mixed = state ^ (state >>> 16);
      mixed = Math.imul(mixed, 0x21f0aaad);
      mixed ^= mixed >>> 15;
      mixed = Math.imul(mixed, 0x735a2d97);
      return mixed ^ (mixed >>> 15);
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    for (let round = 0; round < 12; round++) this.uint32();
  }

  /** 0 to 2³² - 1 */
  uint32(): number {
    const result = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) | 0;
    return result >>> 0;
  }

  /** 0 inclusive to 1 exclusive */
  fraction(): number {
    return this.uint32() / 0x1_0000_0000;
  }

  /** An integer from `low` to `high`, both included; the range is at most 2³². */
  between(low: number, high: number): number {
    return low + Math.floor(this.fraction() * (high - low + 1));
  }

  /** True with that probability. */
  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** @throws RangeError for an empty list */
  pick<T>(choices: readonly T[]): T {
    const choice = choices[Math.floor(this.fraction() * choices.length)];
    if (choice === undefined) throw new RangeError("nothing to pick from");
    return choice;
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let index = 0; index < length; index++) bytes[index] = this.uint32();
    return bytes;
  }

  /** Lower case letters and digits. */
  word(length: number): string {
    let text = "";
    for (let index = 0; index < length; index++) text += "abcdefghijklmnopqrstuvwxyz0123456789"[this.between(0, 35)];
    return text;
  }
}

/** Draws names with probabilities in proportion to their weights. */
export class WeightedChoice<Name extends string> {
  readonly #limits: { readonly name: Name; readonly limit: number }[] = [];
  #total = 0;

  /** @throws RangeError when a weight is negative or none is positive */
  constructor(weights: Readonly<Record<Name, number>>) {
    for (const name in weights) {
      const weight = weights[name];
      if (!(weight >= 0)) throw new RangeError(`the weight of ${name} is ${weight}, expected 0 or more`);
      if (weight === 0) continue;
      this.#total += weight;
      this.#limits.push({ name, limit: this.#total });
    }
    if (this.#total === 0) throw new RangeError("no weight is above 0");
  }

  draw(random: Random): Name {
    const point = random.fraction() * this.#total;
    const drawn = this.#limits.find(({ limit }) => point < limit) ?? this.#limits.at(-1);
    if (drawn === undefined) throw new RangeError("nothing to draw from");
    return drawn.name;
  }
}
