import {
  Crc64,
  dumpFooter,
  hasFieldExpiries,
  PLAIN_HASH,
  RDB_FUNCTION,
  RdbError,
  rdbString,
  rdbTypeName,
  rdbVersionOfType,
  readFieldExpiries,
  type CommandArgument,
  type FieldExpiries,
} from "@sluice/redis";
import { Halt } from "@sluice/runtime";
import { AccessKind, NO_EXPIRY, SnapshotType, type SnapshotRows } from "@sluice/wire";
import type { SnapshotValue } from "../lane-destination.ts";

const STRING_TYPE = 0;
/** Versions of a destination as `major * 10000 + minor * 100 + patch`. */
const RESTORE_ABSTTL_SINCE = 50_000;
const SET_PXAT_SINCE = 60_200;
const FUNCTIONS_SINCE = 70_000;

/** RDB version that a server writes and reads (Redis rdb.h at the releases' tags). */
const RDB_VERSION_SINCE: readonly (readonly [since: number, rdbVersion: number])[] = [
  [70_400, 12],
  [70_200, 11],
  [70_000, 10],
  [50_000, 9],
  [40_000, 8],
  [30_200, 7],
  [0, 6],
];

/** Fields in one command: an expiry that many of them have takes several. */
const MOST_FIELDS = 1_000;

/** A command with at most one argument that is given in pieces, which stands between the others. */
export interface ValueCommand {
  readonly before: readonly CommandArgument[];
  readonly pieces: readonly Buffer[];
  readonly after: readonly CommandArgument[];
}

export interface ValueOptions {
  /** Version of the destination. */
  readonly version: number;
  readonly shift: (expireAtMs: number) => number;
}

/** A function library or a script: it belongs to no key, slot or database. */
export function isLoose(rows: SnapshotRows, row: number): boolean {
  const type = rows.types[row];
  return type === SnapshotType.functionLibrary || type === SnapshotType.script;
}

/**
 * One entry of a full copy in the cheapest form that the destination takes: SET for a plain string, RESTORE with the raw value
 * for everything else, and HPEXPIREAT behind it for fields that expire. An entry that is expired already is written all the same: a change that is still to come may have renewed
 * it (H19). Each form replaces what was there, so that it may be repeated. Throws `Halt` DST-006 for what the destination can't
 * read.
 */
export function valueCommands({ rows, row, key, value }: SnapshotValue, options: ValueOptions): ValueCommand[] {
  const type = rows.types[row] as number;
  if (type === SnapshotType.functionLibrary) return [library(value, options)];
  if (type === SnapshotType.script) return [{ before: ["SCRIPT", "LOAD"], pieces: value, after: [] }];
  const expires = rows.expires[row] as number;
  const expireAtMs = expires === NO_EXPIRY ? NO_EXPIRY : Math.max(1, options.shift(expires));
  const accessKind = rows.accessKinds[row] as number;
  const only = value[0];
  if (type === STRING_TYPE && value.length === 1 && only !== undefined && accessKind === AccessKind.none) {
    return setString(key, rdbString(only), expireAtMs, options.version);
  }
  const access = accessOptions(accessKind, rows.access[row] as number, options.version);
  if (hasFieldExpiries(type)) return hashWithFieldExpiries(type, key, value, expireAtMs, access, options);
  return restore(type, key, value, expireAtMs, access, options.version);
}

/**
 * As it stands, a RESTORE would bring the fields' expiries without the grace, and lose fields that are renewed (H19). So the hash
 * is restored without them, and each field gets its own, with the grace; all in the one step in which an entry is applied.
 */
function hashWithFieldExpiries(
  type: number,
  key: Buffer,
  value: readonly Buffer[],
  expireAtMs: number,
  access: readonly CommandArgument[],
  { version, shift }: ValueOptions,
): ValueCommand[] {
  const { plain, fieldsAt } = fieldExpiriesOf(type, value);
  if (fieldsAt.size > 0) requireType(type, version);
  const commands = restore(PLAIN_HASH, key, plain, expireAtMs, access, version);
  for (const [at, fields] of fieldsAt) {
    const withGraceMs = Math.max(1, shift(at));
    for (let from = 0; from < fields.length; from += MOST_FIELDS) {
      const some = fields.slice(from, from + MOST_FIELDS);
      commands.push({ before: ["HPEXPIREAT", key, withGraceMs, "FIELDS", some.length, ...some], pieces: [], after: [] });
    }
  }
  return commands;
}

function fieldExpiriesOf(type: number, value: readonly Buffer[]): FieldExpiries {
  try {
    return readFieldExpiries(type, value.length === 1 ? (value[0] as Buffer) : Buffer.concat(value));
  } catch (cause) {
    if (!(cause instanceof RdbError)) throw cause;
    throw new Halt("SRC-004", `a ${rdbTypeName(type)} of the copy can't be taken apart`, { cause });
  }
}

function setString(key: Buffer, value: Buffer, expireAtMs: number, version: number): ValueCommand[] {
  const plain = { before: ["SET", key], pieces: [value], after: [] };
  if (expireAtMs === NO_EXPIRY) return [plain];
  if (version >= SET_PXAT_SINCE) return [{ ...plain, after: ["PXAT", expireAtMs] }];
  return [plain, expiry(key, expireAtMs)];
}

function restore(
  type: number,
  key: Buffer,
  value: readonly Buffer[],
  expireAtMs: number,
  access: readonly CommandArgument[],
  version: number,
): ValueCommand[] {
  requireType(type, version);
  const pieces = dumpOf(type, value);
  if (expireAtMs === NO_EXPIRY) return [{ before: ["RESTORE", key, 0], pieces, after: ["REPLACE", ...access] }];
  if (version >= RESTORE_ABSTTL_SINCE) {
    return [{ before: ["RESTORE", key, expireAtMs], pieces, after: ["REPLACE", "ABSTTL", ...access] }];
  }
  return [{ before: ["RESTORE", key, 0], pieces, after: ["REPLACE"] }, expiry(key, expireAtMs)];
}

function expiry(key: Buffer, expireAtMs: number): ValueCommand {
  return { before: ["PEXPIREAT", key, expireAtMs], pieces: [], after: [] };
}

function accessOptions(kind: number, access: number, version: number): readonly CommandArgument[] {
  if (kind === AccessKind.none || version < RESTORE_ABSTTL_SINCE) return [];
  return kind === AccessKind.idleSeconds ? ["IDLETIME", access] : ["FREQ", access];
}

function library(value: readonly Buffer[], { version }: ValueOptions): ValueCommand {
  if (version < FUNCTIONS_SINCE) {
    throw new Halt("DST-006", `the source holds function libraries; a destination of version ${version} knows none`);
  }
  return { before: ["FUNCTION", "RESTORE"], pieces: dumpOf(RDB_FUNCTION, value), after: ["REPLACE"] };
}

/** Type byte, raw value, footer: the payload of RESTORE, without joining it. */
function dumpOf(type: number, value: readonly Buffer[]): Buffer[] {
  const head = Buffer.of(type);
  const crc = new Crc64().update(head);
  for (const piece of value) crc.update(piece);
  return [head, ...value, dumpFooter(type, crc)];
}

function requireType(type: number, version: number): void {
  const needed = rdbVersionOfType(type);
  const has = RDB_VERSION_SINCE.find(([since]) => version >= since)?.[1] ?? 0;
  if (needed > has) {
    throw new Halt(
      "DST-006",
      `a ${rdbTypeName(type)} needs RDB version ${needed}; a destination of version ${version} reads ${has}`,
    );
  }
}
