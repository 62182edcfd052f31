import { Crc64, dumpFooter, RDB_FUNCTION, rdbString, rdbVersionOfType, rdbTypeName } from "@sluice/redis";
import { Halt } from "@sluice/runtime";
import { AccessKind, NO_EXPIRY, SnapshotType, type SnapshotRows } from "@sluice/wire";
import type { Request } from "../apply/request.ts";

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

export interface ValueOptions {
  /** Version of the destination. */
  readonly version: number;
  readonly shift: (expireAtMs: number) => number;
}

/**
 * Writes one entry of a full copy in the cheapest form that the destination takes: SET for a plain string, RESTORE with the raw
 * value for everything else. An entry that is expired already is written all the same: a change that is still to come may have
 * renewed it (H19). Each form replaces what was there, so that it may be repeated.
 */
export function addValue(request: Request, rows: SnapshotRows, row: number, key: Buffer, value: readonly Buffer[], options: ValueOptions): void {
  const type = rows.types[row] as number;
  if (type === SnapshotType.functionLibrary) return addLibrary(request, value, options);
  if (type === SnapshotType.script) return request.addWithPieces(["SCRIPT", "LOAD"], value, []);
  const expires = rows.expires[row] as number;
  const expireAtMs = expires === NO_EXPIRY ? NO_EXPIRY : Math.max(1, options.shift(expires));
  const accessKind = rows.accessKinds[row] as number;
  const only = value[0];
  if (type === STRING_TYPE && value.length === 1 && only !== undefined && accessKind === AccessKind.none) {
    return addString(request, key, rdbString(only), expireAtMs, options.version);
  }
  addRestore(request, type, key, value, expireAtMs, accessOptions(accessKind, rows.access[row] as number, options.version), options.version);
}

function addString(request: Request, key: Buffer, value: Buffer, expireAtMs: number, version: number): void {
  if (expireAtMs === NO_EXPIRY) return request.addWithPieces(["SET", key], [value], []);
  if (version >= SET_PXAT_SINCE) return request.addWithPieces(["SET", key], [value], ["PXAT", expireAtMs]);
  request.addWithPieces(["SET", key], [value], []);
  request.addCommand(["PEXPIREAT", key, expireAtMs]);
}

function addRestore(
  request: Request,
  type: number,
  key: Buffer,
  value: readonly Buffer[],
  expireAtMs: number,
  access: readonly (string | number)[],
  version: number,
): void {
  requireType(type, version);
  const pieces = dumpOf(type, value);
  if (expireAtMs === NO_EXPIRY) return request.addWithPieces(["RESTORE", key, 0], pieces, ["REPLACE", ...access]);
  if (version >= RESTORE_ABSTTL_SINCE) {
    return request.addWithPieces(["RESTORE", key, expireAtMs], pieces, ["REPLACE", "ABSTTL", ...access]);
  }
  request.addWithPieces(["RESTORE", key, 0], pieces, ["REPLACE"]);
  request.addCommand(["PEXPIREAT", key, expireAtMs]);
}

function accessOptions(kind: number, access: number, version: number): readonly (string | number)[] {
  if (kind === AccessKind.none || version < RESTORE_ABSTTL_SINCE) return [];
  return kind === AccessKind.idleSeconds ? ["IDLETIME", access] : ["FREQ", access];
}

function addLibrary(request: Request, value: readonly Buffer[], options: ValueOptions): void {
  if (options.version < FUNCTIONS_SINCE) {
    throw new Halt("DST-006", `the source holds function libraries; a destination of version ${options.version} knows none`);
  }
  request.addWithPieces(["FUNCTION", "RESTORE"], dumpOf(RDB_FUNCTION, value), ["REPLACE"]);
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
  if (needed > has) throw new Halt("DST-006", `a ${rdbTypeName(type)} needs RDB version ${needed}; a destination of version ${version} reads ${has}`);
}
