import { Crc64, RdbError, readDumpPayload } from "@sluice/redis";
import type { SimValue } from "./sim-value.ts";

/** RDB version of Redis 7.0. */
export const RDB_VERSION = 10;

const INT8 = 0xc0;
const INT16 = 0xc1;
const INT32 = 0xc2;
const LZF = 0xc3;
const LENGTH_32 = 0x80;
const LENGTH_64 = 0x81;
const SMALL_INTEGER = /^(?:0|-?[1-9]\d{0,9})$/;

/** Type bytes of the plain encodings (rdb.h). */
const TYPES = { string: 0, list: 1, set: 2, hash: 4, zset: 5 } as const;
const ZSET_AS_TEXT = 3;

/** Bytes of an RDB, put together as text with one character for each. */
export class RdbText {
  readonly #parts: string[] = [];

  byte(value: number): this {
    this.#parts.push(String.fromCharCode(value));
    return this;
  }

  length(value: number): this {
    if (value < 64) return this.byte(value);
    if (value < 16_384) return this.byte(0x40 | (value >> 8)).byte(value & 0xff);
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return this.byte(LENGTH_32).raw(bytes.toString("latin1"));
  }

  /** A string, as an integer where it is a small one (rdb.c, `rdbTryIntegerEncoding`). */
  string(text: string): this {
    if (text.length <= 11 && SMALL_INTEGER.test(text)) {
      const value = Number(text);
      const bytes = Buffer.alloc(4);
      bytes.writeInt32LE(value | 0);
      if (value >= -128 && value <= 127) return this.byte(INT8).raw(bytes.toString("latin1", 0, 1));
      if (value >= -32_768 && value <= 32_767) return this.byte(INT16).raw(bytes.toString("latin1", 0, 2));
      if (value === (value | 0)) return this.byte(INT32).raw(bytes.toString("latin1", 0, 4));
    }
    return this.length(text.length).raw(text);
  }

  raw(text: string): this {
    this.#parts.push(text);
    return this;
  }

  type(value: SimValue): this {
    return this.byte(TYPES[value.type]);
  }

  value(value: SimValue): this {
    switch (value.type) {
      case "string":
        return this.string(value.text);
      case "list":
        return this.#strings(value.items.length, value.items);
      case "set":
        return this.#strings(value.members.size, value.members);
      case "hash":
        this.length(value.fields.size);
        for (const [field, text] of value.fields) this.string(field).string(text);
        return this;
      case "zset":
        this.length(value.scores.size);
        for (const [member, score] of value.scores) {
          const bytes = Buffer.alloc(8);
          bytes.writeDoubleLE(score);
          this.string(member).raw(bytes.toString("latin1"));
        }
        return this;
    }
  }

  bytes(): Buffer {
    return Buffer.from(this.#parts.join(""), "latin1");
  }

  #strings(count: number, items: Iterable<string>): this {
    this.length(count);
    for (const item of items) this.string(item);
    return this;
  }
}

/** A DUMP payload, as text with one character for each byte. */
export function dumpOf(value: SimValue): string {
  const body = new RdbText().type(value).value(value).byte(RDB_VERSION).byte(0).bytes();
  const footer = Buffer.alloc(8);
  new Crc64().update(body).writeTo(footer, 0);
  return body.toString("latin1") + footer.toString("latin1");
}

/** The value of a DUMP payload; null when it is damaged or of a newer version, "unreadable" when this model does not read its type. */
export function restored(payload: string): SimValue | "unreadable" | null {
  try {
    const { type, value, rdbVersion } = readDumpPayload(Buffer.from(payload, "latin1"));
    if (rdbVersion > RDB_VERSION) return null;
    return new ValueReader(value).value(type) ?? "unreadable";
  } catch (cause) {
    if (cause instanceof RdbError) return null;
    throw cause;
  }
}

/** Reads a value whose extent has been checked. */
class ValueReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  value(type: number): SimValue | null {
    switch (type) {
      case TYPES.string:
        return { type: "string", text: this.#string() };
      case TYPES.list:
        return { type: "list", items: this.#strings() };
      case TYPES.set:
        return { type: "set", members: new Set(this.#strings()) };
      case TYPES.hash:
        return { type: "hash", fields: new Map(this.#repeat(() => [this.#string(), this.#string()] as const)) };
      case TYPES.zset:
        return { type: "zset", scores: new Map(this.#repeat(() => [this.#string(), this.#double()] as const)) };
      case ZSET_AS_TEXT:
        return { type: "zset", scores: new Map(this.#repeat(() => [this.#string(), this.#doubleText()] as const)) };
      default:
        return null;
    }
  }

  #strings(): string[] {
    return this.#repeat(() => this.#string());
  }

  #repeat<T>(read: () => T): T[] {
    return Array.from({ length: this.#length() }, read);
  }

  #length(): number {
    const first = this.#bytes.readUInt8(this.#at++);
    if (first < 0x40) return first;
    if (first < LENGTH_32) return ((first & 0x3f) << 8) | this.#bytes.readUInt8(this.#at++);
    if (first === LENGTH_64) return Number(this.#bytes.readBigUInt64BE((this.#at += 8) - 8));
    return this.#bytes.readUInt32BE((this.#at += 4) - 4);
  }

  #string(): string {
    const bytes = this.#bytes;
    switch (bytes[this.#at]) {
      case INT8:
        return String(bytes.readInt8((this.#at += 2) - 1));
      case INT16:
        return String(bytes.readInt16LE((this.#at += 3) - 2));
      case INT32:
        return String(bytes.readInt32LE((this.#at += 5) - 4));
      case LZF:
        throw new RdbError("this model reads no compressed strings", this.#at);
      default: {
        const count = this.#length();
        return bytes.toString("latin1", this.#at, (this.#at += count));
      }
    }
  }

  #double(): number {
    return this.#bytes.readDoubleLE((this.#at += 8) - 8);
  }

  #doubleText(): number {
    const count = this.#bytes.readUInt8(this.#at++);
    if (count >= 253) return [Number.NaN, Infinity, -Infinity][count - 253] ?? Number.NaN;
    return Number(this.#bytes.toString("latin1", this.#at, (this.#at += count)));
  }
}
