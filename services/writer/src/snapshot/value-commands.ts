import {
  DestinationLimits,
  elementCommands,
  hasElements,
  hasFieldExpiries,
  PLAIN_HASH,
  RDB_FUNCTION,
  RdbError,
  rdbString,
  rdbTypeName,
  readFieldExpiries,
  restorePayload,
  restoresType,
  type CommandArgument,
  type DestinationServer,
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

/** Fields in one command: an expiry that many of them have takes several. */
const MOST_FIELDS = 1_000;

/** A command with at most one argument that is given in pieces, which stands between the others. */
export interface ValueCommand {
  readonly before: readonly CommandArgument[];
  readonly pieces: readonly Buffer[];
  readonly after: readonly CommandArgument[];
}

export interface ValueOptions {
  readonly server: DestinationServer;
  readonly shift: (expireAtMs: number) => number;
  /** Where a value is built from its elements before it takes its key's place: a key of the same slot that nobody else writes to. */
  readonly temporary: () => Buffer;
  /** What the destination answered to a RESTORE of this value, or of any; null where nothing speaks against it. */
  readonly refusal: string | null;
  /** Told what of the value the destination can't hold: what it returns from is left out. It throws where that is not to be. */
  readonly lacks: (what: string) => void;
}

/** A function library or a script: it belongs to no key, slot or database. */
export function isLoose(rows: SnapshotRows, row: number): boolean {
  const type = rows.types[row];
  return type === SnapshotType.functionLibrary || type === SnapshotType.script;
}

/** When the entry of a row expires in the destination; `NO_EXPIRY` for never. */
export function expiryIn(rows: SnapshotRows, row: number, shift: ValueOptions["shift"]): number {
  const expires = rows.expires[row] as number;
  return expires === NO_EXPIRY ? NO_EXPIRY : Math.max(1, shift(expires));
}

/**
 * One entry of a full copy in the cheapest form that the destination takes: SET for a plain string, RESTORE with the raw value
 * for everything else, and HPEXPIREAT behind it for fields that expire. Where there is no RESTORE for it, it is built from its elements under
 * another key, which then takes the place of its own.
 *
 * An entry that is expired already is written all the same: a change that is still to come may have renewed
 * it (H19). Each form replaces what was there, so that it may be repeated; of what the destination can't hold at all nothing is left there.
 * Throws `Halt` SRC-004 for what can't be taken apart.
 */
export function valueCommands({ rows, row, key, value }: SnapshotValue, options: ValueOptions): ValueCommand[] {
  const type = rows.types[row] as number;
  const { version } = options.server;
  if (type === SnapshotType.functionLibrary) return library(value, options);
  if (type === SnapshotType.script) return [{ before: ["SCRIPT", "LOAD"], pieces: value, after: [] }];
  const expireAtMs = expiryIn(rows, row, options.shift);
  const accessKind = rows.accessKinds[row] as number;
  const only = value[0];
  const isPlain = accessKind === AccessKind.none || options.refusal !== null;
  if (type === STRING_TYPE && value.length === 1 && only !== undefined && isPlain) {
    return setString(key, rdbString(only), expireAtMs, version);
  }
  const access = accessOptions(accessKind, rows.access[row] as number, version);
  const entry: WholeValue = { type, key, value, expireAtMs, access };
  return hasFieldExpiries(type) ? hashWithFieldExpiries(entry, options) : whole(entry, options);
}

/** What becomes of one key in one step. */
interface WholeValue {
  readonly type: number;
  readonly key: Buffer;
  readonly value: readonly Buffer[];
  /** In the destination; `NO_EXPIRY` for none. */
  readonly expireAtMs: number;
  readonly access: readonly CommandArgument[];
}

/**
 * As it stands, a RESTORE would bring the fields' expiries without the grace, and lose fields that are renewed (H19). So the hash
 * is written without them, and each field gets its own, with the grace; all in the one step in which an entry is applied.
 */
function hashWithFieldExpiries(entry: WholeValue, options: ValueOptions): ValueCommand[] {
  const { plain, fieldsAt } = fieldExpiriesOf(entry.type, entry.value);
  const commands = whole({ ...entry, type: PLAIN_HASH, value: plain }, options);
  if (fieldsAt.size === 0) return commands;
  if (!new DestinationLimits(options.server).hasFieldExpiries) {
    options.lacks("expiries of hash fields");
    return commands;
  }
  for (const [at, fields] of fieldsAt) {
    const withGraceMs = Math.max(1, options.shift(at));
    for (let from = 0; from < fields.length; from += MOST_FIELDS) {
      const some = fields.slice(from, from + MOST_FIELDS);
      commands.push({ before: ["HPEXPIREAT", entry.key, withGraceMs, "FIELDS", some.length, ...some], pieces: [], after: [] });
    }
  }
  return commands;
}

function whole(entry: WholeValue, options: ValueOptions): ValueCommand[] {
  const { type } = entry;
  if (options.refusal === null && restoresType(type, options.server)) return restore(entry, options.server.version);
  if (hasElements(type)) return built(entry, options);
  const why = options.refusal === null ? "" : `, which it refuses (${options.refusal})`;
  options.lacks(`values of the type ${rdbTypeName(type)}${why}`);
  return [{ before: ["DEL", entry.key], pieces: [], after: [] }];
}

/** The value from its elements. What an attempt that broke off may have left under the temporary key is in nobody's way. */
function built({ type, key, value, expireAtMs }: WholeValue, options: ValueOptions): ValueCommand[] {
  const { server, shift, lacks } = options;
  const temporary = options.temporary();
  const commands: ValueCommand[] = [];
  try {
    for (const command of elementCommands(type, value, { key: temporary, destination: server, shift, lacks })) {
      commands.push({ before: command, pieces: [], after: [] });
    }
  } catch (cause) {
    if (!(cause instanceof RdbError)) throw cause;
    throw notTakenApart(type, cause);
  }
  if (commands.length === 0) return [{ before: ["DEL", key], pieces: [], after: [] }];
  return [
    { before: ["DEL", temporary], pieces: [], after: [] },
    ...commands,
    { before: ["RENAME", temporary, key], pieces: [], after: [] },
    // Behind it: an expiry that is past deletes the key at once, and nothing would be left to rename.
    ...(expireAtMs === NO_EXPIRY ? [] : [expiry(key, expireAtMs)]),
  ];
}

function fieldExpiriesOf(type: number, value: readonly Buffer[]): FieldExpiries {
  try {
    return readFieldExpiries(type, value.length === 1 ? (value[0] as Buffer) : Buffer.concat(value));
  } catch (cause) {
    if (!(cause instanceof RdbError)) throw cause;
    throw notTakenApart(type, cause);
  }
}

/** A value that is no such value: the copy is damaged. */
export function notTakenApart(type: number, cause: RdbError): Halt {
  return new Halt("SRC-004", `a ${rdbTypeName(type)} of the copy can't be taken apart`, { cause });
}

function setString(key: Buffer, value: Buffer, expireAtMs: number, version: number): ValueCommand[] {
  const plain = { before: ["SET", key], pieces: [value], after: [] };
  if (expireAtMs === NO_EXPIRY) return [plain];
  if (version >= SET_PXAT_SINCE) return [{ ...plain, after: ["PXAT", expireAtMs] }];
  return [plain, expiry(key, expireAtMs)];
}

function restore({ type, key, value, expireAtMs, access }: WholeValue, version: number): ValueCommand[] {
  const pieces = restorePayload(type, ...value);
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

function library(value: readonly Buffer[], { server, lacks }: ValueOptions): ValueCommand[] {
  if (server.version < FUNCTIONS_SINCE) {
    lacks("function libraries");
    return [];
  }
  return [{ before: ["FUNCTION", "RESTORE"], pieces: restorePayload(RDB_FUNCTION, ...value), after: ["REPLACE"] }];
}
