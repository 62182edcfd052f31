import { shiftedFieldExpiries } from "../rdb/field-expiries.ts";
import type { FramedCommand } from "../resp/command-framer.ts";
import { headerBytes, writeArgument, writeHeader } from "../resp/encode-command.ts";
import { textOf } from "./argument.ts";
import { commandTable } from "./command-table.ts";
import { expiryRule, restoresFieldExpiries } from "./expiry-place.ts";
import type { ExpiryPlace } from "./expiry-place.ts";

/** A command that carries an expiry which is not a whole number, so no server can have accepted it. */
export class ExpiryError extends Error {
  override readonly name = "ExpiryError";
}

/** The end of JavaScript's dates (ECMA-262, "Time Values and Time Range"). */
const MAX_DATE_MS = 8_640_000_000_000_000n;

/** Commands of this size are not copied to be rewritten. */
const LARGE_BYTES = 1024 * 1024;

/** A new argument, or a range `[from, to)` of the old ones. */
type Part = string | Buffer | readonly [from: number, to: number];

/** Position where the raw RESP of an argument begins. Framed lengths have no leading zeros, so the header's size follows from the length. */
function rawStart(command: FramedCommand, index: number): number {
  return command.argStarts[index]! - headerBytes(command.argLengths[index]!);
}

/** The command made of these parts. What is kept is copied as raw bytes, without a look at single arguments. */
function assemble(command: FramedCommand, parts: readonly Part[]): Buffer {
  let count = 0;
  let size = 0;
  for (const part of parts) {
    if (typeof part === "string" || Buffer.isBuffer(part)) {
      count++;
      size += headerBytes(part.length) + part.length + 2;
    } else if (part[1] > part[0]) {
      count += part[1] - part[0];
      size += rawEnd(command, part[1]) - rawStart(command, part[0]);
    }
  }
  const target = Buffer.allocUnsafe(headerBytes(count) + size);
  let at = writeHeader(target, 0, 42, count);
  for (const part of parts) {
    if (typeof part === "string" || Buffer.isBuffer(part)) at = writeArgument(target, at, part);
    else if (part[1] > part[0]) at += command.buffer.copy(target, at, rawStart(command, part[0]), rawEnd(command, part[1]));
  }
  return target;
}

/** As `assemble`, where what is kept of a large command stays where it is: the first piece is `*<argc>\r\n`, and each other one whole arguments. */
function assembleInPieces(command: FramedCommand, parts: readonly Part[]): readonly Buffer[] {
  if (rawEnd(command, command.argc) - rawStart(command, 0) < LARGE_BYTES) return [assemble(command, parts)];
  let count = 0;
  const pieces: Buffer[] = [];
  for (const part of parts) {
    if (typeof part === "string" || Buffer.isBuffer(part)) {
      count++;
      const piece = Buffer.allocUnsafe(headerBytes(part.length) + part.length + 2);
      writeArgument(piece, 0, part);
      pieces.push(piece);
    } else if (part[1] > part[0]) {
      count += part[1] - part[0];
      pieces.push(command.buffer.subarray(rawStart(command, part[0]), rawEnd(command, part[1])));
    }
  }
  const header = Buffer.allocUnsafe(headerBytes(count));
  writeHeader(header, 0, 42, count);
  return [header, ...pieces];
}

/** Position behind the raw RESP of the argument before `index`. */
function rawEnd(command: FramedCommand, index: number): number {
  return command.argStarts[index - 1]! + command.argLengths[index - 1]! + 2;
}

/** The number of the place, in milliseconds. It can be beyond what a double holds exactly: Redis takes 63 bits. */
function milliseconds(command: FramedCommand, place: ExpiryPlace): bigint {
  const text = textOf(command, place.valueAt);
  if (!/^-?\d{1,19}$/.test(text)) {
    throw new ExpiryError(
      `${textOf(command, 0)}: expected a whole number of at most 19 digits as argument ${place.valueAt}, read ${JSON.stringify(text.slice(0, 32))}`,
    );
  }
  return BigInt(text) * (place.inSeconds ? 1000n : 1n);
}

/** What makes the command with the absolute expiry `ms` in place of the one it has, in its form for absolute milliseconds. */
function withAbsolute(command: FramedCommand, place: ExpiryPlace, ms: string, payload: Buffer | null = null): readonly Part[] {
  const argc = command.argc;
  const at = place.valueAt;
  switch (place.form) {
    case "expire":
      return ["PEXPIREAT", [1, 2], ms, [3, argc]];
    case "hexpire":
      return ["HPEXPIREAT", [1, 2], ms, [3, argc]];
    case "exhexpire":
      return ["EXHPEXPIREAT", [1, 3], ms, [4, argc]];
    case "setex":
      return ["SET", [1, 2], [3, argc], "PXAT", ms];
    case "getex":
      return ["PEXPIREAT", [1, 2], ms];
    case "restore":
      return ["RESTORE", [1, 2], ms, payload ?? [3, 4], [4, argc], ...(place.isRelative ? ["ABSTTL"] : [])];
    case "option":
    default:
      return [[0, at - 1], "PXAT", ms, [at + 1, argc]];
  }
}

/**
 * The command as RESP with its relative expiry made absolute, counted from `nowMs` (milliseconds since the epoch); null when it carries no relative one.
 *
 *     SETEX, PSETEX, SET EX|PX -> SET ... PXAT        EXPIRE, PEXPIRE -> PEXPIREAT, with NX XX GT LT kept
 *     GETEX EX|PX -> PEXPIREAT                        RESTORE, RESTORE-ASKING -> RESTORE ... ABSTTL
 *     HEXPIRE, HPEXPIRE -> HPEXPIREAT                 HSETEX, HGETEX, MSETEX with EX|PX -> PXAT
 *
 * TairString and TairHash in the same way (EXSET and the like: PXAT, EXHEXPIRE -> EXHPEXPIREAT). SET with PXAT needs Redis 6.2 at the destination, RESTORE with ABSTTL 5.0.
 * @throws {ExpiryError} the expiry is not a whole number.
 */
export function absoluteExpiry(command: FramedCommand, nowMs: number): Buffer | null {
  const place = expiryRule(commandTable.idOfCommand(command), command);
  if (place === null || !place.isRelative) return null;
  return assemble(command, withAbsolute(command, place, String(BigInt(nowMs) + milliseconds(command, place))));
}

/**
 * The command as RESP with its absolute expiry replaced by `shift` of it (milliseconds since the epoch, both ways); null when it carries no absolute one.
 * Seconds become milliseconds: EXPIREAT -> PEXPIREAT, EXAT -> PXAT, HEXPIREAT -> HPEXPIREAT; GETEX becomes PEXPIREAT.
 * A RESTORE of a hash whose fields expire gets a payload in which they do later, too.
 * One buffer; for a command above 1 MiB several, `*<argc>\r\n` and then whole arguments, those that are kept as views of the command's own bytes.
 * An expiry beyond the year 275 760 (the end of JavaScript's dates) stays what it is: such a key does not expire.
 * @throws {ExpiryError} the expiry is not a whole number.
 */
export function shiftExpiry(command: FramedCommand, shift: (ms: number) => number): readonly Buffer[] | null {
  const id = commandTable.idOfCommand(command);
  const payload = restoresFieldExpiries(id, command) ? shiftedFieldExpiries(payloadOf(command), shift) : null;
  const place = expiryRule(id, command);
  const ms = place === null || place.isRelative ? null : milliseconds(command, place);
  if (place !== null && ms !== null && ms <= MAX_DATE_MS && ms >= -MAX_DATE_MS) {
    return assembleInPieces(command, withAbsolute(command, place, String(shift(Number(ms))), payload));
  }
  return payload === null ? null : assembleInPieces(command, [[0, 3], payload, [4, command.argc]]);
}

function payloadOf(command: FramedCommand): Buffer {
  const start = command.argStarts[3]!;
  return command.buffer.subarray(start, start + command.argLengths[3]!);
}
