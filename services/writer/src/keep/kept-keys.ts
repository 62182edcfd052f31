import { Halt } from "@sluice/runtime";
import { KeySet } from "../snapshot/key-set.ts";

/** Together at most about 54 MB in memory, and what one lane asks the destination for whenever it begins. */
const MOST_NAMES = 1_000_000;
const MOST_BYTES = 128 * 1024 * 1024;
/** A power of two. With all names that there may be, a fifth of the bits is set. */
const SIEVE_BITS = 2 ** 22;

export interface KeptLimits {
  readonly names: number;
  readonly bytes: number;
}

/**
 * Keys of a destination that a lane never touches, by database. Only hashes of them are in memory; most other keys are told from
 * them by one bit, without hashing them well.
 */
export class KeptKeys {
  readonly #label: string;
  readonly limits: KeptLimits;
  readonly #keys = new KeySet();
  readonly #databases = new Set<number>();
  #sieve: Uint8Array | null = null;
  #bytes = 0;

  /** `label`: of the lane, for people. */
  constructor(label: string, limits: KeptLimits = { names: MOST_NAMES, bytes: MOST_BYTES }) {
    this.#label = label;
    this.limits = limits;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** Throws `Halt` DST-023 when there are too many. */
  add(db: number, key: Buffer): void {
    const before = this.#keys.size;
    this.#keys.add(db, key);
    if (this.#keys.size === before) return;
    this.#bytes += key.length;
    if (this.#keys.size > this.limits.names || this.#bytes > this.limits.bytes) throw this.tooMany();
    this.#databases.add(db);
    const bit = sieveBit(db, key, 0, key.length);
    this.#sieve ??= new Uint8Array(SIEVE_BITS / 8);
    this.#sieve[bit >>> 3] = (this.#sieve[bit >>> 3] as number) | (1 << (bit & 7));
  }

  /** Whether the key in `[start, end)` is one of them. */
  has(db: number, bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    if (this.#sieve === null) return false;
    const bit = sieveBit(db, bytes, start, end);
    if (((this.#sieve[bit >>> 3] as number) & (1 << (bit & 7))) === 0) return false;
    return this.#keys.has(db, Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start));
  }

  /** Whether what empties the database would take any, or their names, with it; null: what empties all. On one server names stand in database 0. */
  isIn(db: number | null): boolean {
    return db === null || db === 0 ? this.#databases.size > 0 : this.#databases.has(db);
  }

  tooMany(): Halt {
    const { names, bytes } = this.limits;
    return new Halt(
      "DST-023",
      `lane ${this.#label} would have to keep more than ${names} keys, or ${bytes} bytes of their names, in mind`,
    );
  }
}

/** FNV-1a: good enough to say no. Who makes keys that share a bit only gets them hashed well. */
function sieveBit(db: number, bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 ^ db;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
  hash ^= hash >>> 15;
  return (hash >>> 0) & (SIEVE_BITS - 1);
}
