import { hash } from "node:crypto";

const FIRST_CAPACITY = 1024;
const WORDS = 4;

/**
 * The keys that a copy held, by 128 bits of their hash: enough that two of a billion keys share one with a chance below 10^-20.
 * About 27 to 54 bytes a key, in one typed array.
 */
export class KeySet {
  #words = new Uint32Array(FIRST_CAPACITY * WORDS);
  #capacity = FIRST_CAPACITY;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(db: number, key: Buffer): void {
    if (this.#size * 5 >= this.#capacity * 3) this.#grow();
    if (insert(this.#words, this.#capacity, digest(db, key))) this.#size++;
  }

  has(db: number, key: Buffer): boolean {
    return find(this.#words, this.#capacity, digest(db, key)) >= 0;
  }

  #grow(): void {
    const capacity = this.#capacity * 2;
    const words = new Uint32Array(capacity * WORDS);
    for (let at = 0; at < this.#words.length; at += WORDS) {
      if (this.#words[at] !== 0) insert(words, capacity, this.#words.subarray(at, at + WORDS));
    }
    this.#words = words;
    this.#capacity = capacity;
  }
}

/** 128 bits of SHA-256; the first word is never 0, which marks a free place. */
function digest(db: number, key: Buffer): Uint32Array {
  const bytes = hash("sha256", key, "buffer");
  const words = new Uint32Array(WORDS);
  for (let word = 0; word < WORDS; word++) words[word] = bytes.readUInt32LE(word * 4);
  words[1] = ((words[1] as number) ^ Math.imul(db + 1, 0x9e3779b1)) >>> 0;
  if (words[0] === 0) words[0] = 1;
  return words;
}

/** Position of the entry, or of the free place where it belongs as `-position - 1`. */
function find(words: Uint32Array, capacity: number, entry: Uint32Array): number {
  const mask = capacity - 1;
  for (let slot = ((entry[1] as number) ^ (entry[0] as number)) & mask; ; slot = (slot + 1) & mask) {
    const at = slot * WORDS;
    if (words[at] === 0) return -at - 1;
    if (words[at] === entry[0] && words[at + 1] === entry[1] && words[at + 2] === entry[2] && words[at + 3] === entry[3])
      return at;
  }
}

function insert(words: Uint32Array, capacity: number, entry: Uint32Array): boolean {
  const at = find(words, capacity, entry);
  if (at >= 0) return false;
  words.set(entry, -at - 1);
  return true;
}
