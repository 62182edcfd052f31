import { rdbTypeName, rdbVersionOfType } from "@sluice/redis";
import type { ServerState } from "./probe/server-state.ts";

/** The first with PSYNC (replication.c of 2.8). */
export const FIRST_SOURCE = 20_800;
/** The first with the commands that writers need (RESTORE REPLACE since 3.0). */
export const FIRST_DESTINATION = 30_000;
/** From here on the RDB version may be above 12. */
export const RDB_ABOVE_12 = 80_200;

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

/**
 * RDB version that a server reads of others, and sends to a replica that is none of its own kind: Valkey went ways of its own
 * behind version 11 (Valkey 9 rdb.h, RDB_FOREIGN_VERSION_MIN).
 */
export function rdbVersionOf({ version, isValkey }: Pick<ServerState, "version" | "isValkey">): number {
  const known = RDB_VERSION_SINCE.find(([since]) => version >= since)?.[1] ?? 6;
  return isValkey ? Math.min(known, 11) : known;
}

/** A kind of value, and the commands that make one where that is the only way. */
export interface LostType {
  readonly name: string;
  /** Empty: every server of the version writes it as a matter of course. */
  readonly madeBy: readonly string[];
}

const MADE_BY: Readonly<Record<number, readonly string[]>> = {
  15: ["XADD", "XGROUP"],
  19: ["XADD", "XGROUP"],
  21: ["XADD", "XGROUP"],
  22: ["HEXPIRE", "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT", "HSETEX", "HGETEX"],
  23: ["HEXPIRE", "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT", "HSETEX", "HGETEX"],
  24: ["HEXPIRE", "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT", "HSETEX", "HGETEX"],
  25: ["HEXPIRE", "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT", "HSETEX", "HGETEX"],
};
/** Of modules and of release candidates: see `source-modules`. */
const PASSED_OVER = new Set([6, 7, 22, 23]);
const LAST_TYPE = 25;

/** Kinds of values that a source with the one RDB version writes and a destination with the other can't read. */
export function lostTypes(source: number, destination: number): LostType[] {
  const lost: LostType[] = [];
  for (let type = 0; type <= LAST_TYPE; type++) {
    if (type === 8 || PASSED_OVER.has(type)) continue;
    const since = rdbVersionOfType(type);
    if (since <= source && since > destination) lost.push({ name: rdbTypeName(type), madeBy: MADE_BY[type] ?? [] });
  }
  return lost;
}
