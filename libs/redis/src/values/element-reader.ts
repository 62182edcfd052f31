import { Listpack } from "../rdb/listpack.ts";
import { RdbError } from "../rdb/rdb-error.ts";
import { rdbTypeName, VALKEY_HASH } from "../rdb/rdb-type.ts";
import {
  expiringHash,
  expiringListpack,
  hashElements,
  itemElements,
  packedHash,
  packedItems,
  packedZset,
  quicklist2Elements,
  quicklistElements,
  textZsetElements,
  valkeyHash,
  zsetElements,
} from "./collection-elements.ts";
import { Intset } from "./intset.ts";
import { streamElements, type StreamForm, type StreamLimits } from "./stream-elements.ts";
import { stringElements } from "./string-elements.ts";
import { ValueBytes } from "./value-bytes.ts";
import type { ValueElement, ValueElements } from "./value-element.ts";
import { Ziplist } from "./ziplist.ts";
import { Zipmap } from "./zipmap.ts";

/** `proto-max-bulk-len`: no server takes a longer argument unless told to. */
const DEFAULT_MAX_ELEMENT_BYTES = 512 * 1024 * 1024;
/** 41 bytes each. */
const DEFAULT_MAX_PENDING = 2_000_000;

export interface ElementReaderOptions {
  /**
   * The longest element, and the longest string that holds many in a compact form; a longer one is an RdbError. A value of type string
   * may be longer, as it is never held whole. Default 512 MiB.
   */
  readonly maxElementBytes?: number;
  /** The most pending entries of a stream's groups, together; more are an RdbError. Default 2 million. */
  readonly maxPending?: number;
  /** Of a stream only what follows its entries. */
  readonly withoutEntries?: boolean;
}

type Decoder = (bytes: ValueBytes, limits: StreamLimits) => ValueElements;

const stream =
  (form: StreamForm): Decoder =>
  (bytes, limits) =>
    streamElements(bytes, form, limits);

/** By type as in `RdbEntry.type`. */
const DECODERS: ReadonlyMap<number, Decoder> = new Map<number, Decoder>([
  [0, stringElements],
  [1, itemElements],
  [2, itemElements],
  [3, textZsetElements],
  [4, hashElements],
  [5, zsetElements],
  [9, (bytes) => packedHash(bytes, Zipmap)],
  [10, (bytes) => packedItems(bytes, Ziplist)],
  [11, (bytes) => packedItems(bytes, Intset)],
  [12, (bytes) => packedZset(bytes, Ziplist)],
  [13, (bytes) => packedHash(bytes, Ziplist)],
  [14, quicklistElements],
  [15, stream({ hasCounters: false, hasActiveTimes: false, hasProducers: false })],
  [16, (bytes) => packedHash(bytes, Listpack)],
  [17, (bytes) => packedZset(bytes, Listpack)],
  [18, quicklist2Elements],
  [19, stream({ hasCounters: true, hasActiveTimes: false, hasProducers: false })],
  [20, (bytes) => packedItems(bytes, Listpack)],
  [21, stream({ hasCounters: true, hasActiveTimes: true, hasProducers: false })],
  [22, (bytes) => expiringHash(bytes, false)],
  [23, (bytes) => expiringListpack(bytes, false)],
  [24, (bytes) => expiringHash(bytes, true)],
  [25, (bytes) => expiringListpack(bytes, true)],
  [26, stream({ hasCounters: true, hasActiveTimes: true, hasProducers: true })],
  [VALKEY_HASH, valkeyHash],
]);

/** True for the types whose values consist of known elements: all but modules' and those of later versions. */
export function hasElements(type: number): boolean {
  return DECODERS.has(type);
}

/**
 * Takes a raw value apart, element by element, as its bytes come in pieces. Of the value only what has been pushed and not yet been
 * read is held, beside one element, one node of a list or stream (a compact value is one), and a stream's pending entries.
 *
 * `push`, then `next` until it gives nothing; at the end `finish`, and `next` again until `done`. Elements are views of the pieces,
 * which must not be overwritten while they are used.
 */
export class ElementReader {
  readonly #bytes: ValueBytes;
  readonly #elements: ValueElements;
  #done = false;
  #failure: { readonly cause: unknown } | undefined;

  /** @throws RangeError: `hasElements` is not true of the type. */
  constructor(type: number, options: ElementReaderOptions = {}) {
    const decoder = DECODERS.get(type);
    if (decoder === undefined) throw new RangeError(`a ${rdbTypeName(type)} has no elements that are known`);
    const { maxElementBytes = DEFAULT_MAX_ELEMENT_BYTES, maxPending = DEFAULT_MAX_PENDING, withoutEntries = false } = options;
    this.#bytes = new ValueBytes(maxElementBytes);
    this.#elements = decoder(this.#bytes, { maxPending, withoutEntries });
  }

  /** The value has been read to its end. */
  get done(): boolean {
    return this.#done;
  }

  /** The next bytes of the value. */
  push(piece: Buffer): void {
    this.#bytes.push(piece);
  }

  /** The value has no more bytes. */
  finish(): void {
    this.#bytes.end();
  }

  /**
   * The next element; undefined where more bytes are needed, and once `done`.
   *
   * @throws RdbError with an offset in the value (for what stands inside a compressed string: that of the string, plus how far inside
   * it): it is malformed, cut off, goes on behind its end, or is beyond a limit. Every further call throws the same.
   */
  next(): ValueElement | undefined {
    if (this.#failure !== undefined) throw this.#failure.cause;
    try {
      if (!this.#done) {
        const { value, done } = this.#elements.next();
        if (done !== true) return value ?? undefined;
        this.#done = true;
      }
      if (!this.#bytes.isEmpty) throw new RdbError("the value goes on behind its end", this.#bytes.cursor.offset);
      return undefined;
    } catch (cause) {
      this.#failure = { cause };
      throw cause;
    }
  }
}
