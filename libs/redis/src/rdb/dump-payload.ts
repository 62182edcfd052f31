import { Crc64 } from "../crc64.ts";
import { RdbCursor } from "./rdb-cursor.ts";
import { RdbError } from "./rdb-error.ts";
import { FIRST_VALKEY_VERSION } from "./rdb-format.ts";
import { byteOfType, rdbTypeName, rdbTypeOf, rdbVersionOfType, typeOfByte } from "./rdb-type.ts";
import { ValueExtent } from "./value-extent.ts";

/** RDB version (2 bytes, little endian) and CRC64 (8) behind the type byte and the value (Redis cluster.c, createDumpPayload). */
const DUMP_FOOTER_BYTES = 10;

/**
 * The last ten bytes of a payload for RESTORE. `crc` must have taken in the type byte (`byteOfType`) and the whole value, in order; it is used up.
 * For values that pass in parts, where `restorePayload` would need them all at once.
 */
export function dumpFooter(type: number, crc: Crc64): Buffer {
  const footer = Buffer.allocUnsafe(DUMP_FOOTER_BYTES);
  footer.writeUInt16LE(rdbVersionOfType(type), 0);
  crc.update(footer, 0, 2).writeTo(footer, 2);
  return footer;
}

/**
 * A payload for RESTORE: type byte, the raw value as the RDB holds it, footer. The parts of the value are passed on, not copied.
 * Stamped with the lowest RDB version that has the type (`rdbVersionOfType`), so that an older destination takes whatever it can
 * read. With RDB_FUNCTION and a raw library: a payload for FUNCTION RESTORE.
 */
export function restorePayload(type: number, ...value: readonly Buffer[]): Buffer[] {
  const head = Buffer.of(byteOfType(type));
  const crc = new Crc64().update(head);
  for (const part of value) crc.update(part);
  return [head, ...value, dumpFooter(type, crc)];
}

export interface DumpPayload {
  /** As in `RdbEntry.type`. */
  readonly type: number;
  /** The raw value; a view of the payload. */
  readonly value: Buffer;
  /** The RDB version stamped into the footer. */
  readonly rdbVersion: number;
}

/**
 * Takes a DUMP payload apart. Checked: CRC64, a known type, and that the value ends where the footer begins.
 *
 * @throws RdbError with an offset in the payload.
 */
export function readDumpPayload(payload: Buffer): DumpPayload {
  const footer = payload.length - DUMP_FOOTER_BYTES;
  if (footer < 1) throw new RdbError(`a DUMP payload has more than ${DUMP_FOOTER_BYTES} bytes, this one ${payload.length}`, 0);
  const crc = new Crc64().update(payload, 0, footer + 2);
  if (!crc.matches(payload, footer + 2)) {
    throw new RdbError(`the CRC64 of the DUMP payload does not match: computed ${crc.toString()}`, footer + 2);
  }
  const rdbVersion = payload.readUInt16LE(footer);
  const type = typeOfByte(payload[0]!, rdbVersion >= FIRST_VALKEY_VERSION);
  const layout = rdbTypeOf(type)?.layout;
  if (layout === undefined) throw new RdbError(`a DUMP payload of ${rdbTypeName(type)} can't be read`, 0);
  const cursor = new RdbCursor(payload, 1, footer);
  const extent = new ValueExtent();
  extent.begin(layout);
  if (!extent.advance(cursor)) throw new RdbError(`the ${rdbTypeName(type)} value is cut off`, cursor.pos);
  if (cursor.pos !== footer) throw new RdbError(`the ${rdbTypeName(type)} value ends before its payload does`, cursor.pos);
  return { type, value: payload.subarray(1, footer), rdbVersion };
}
