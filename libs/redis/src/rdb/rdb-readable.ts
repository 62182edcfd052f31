import type { DestinationServer } from "../values/destination-limits.ts";
import { isValkeyOwn, rdbVersionOfType } from "./rdb-type.ts";

/** RDB version that a server reads (Redis rdb.h at the releases' tags). */
const READ_SINCE: readonly (readonly [since: number, rdbVersion: number])[] = [
  [80_800, 14],
  [80_600, 13],
  [70_400, 12],
  [70_200, 11],
  [70_000, 10],
  [50_000, 9],
  [40_000, 8],
  [30_200, 7],
  [0, 6],
];

/** The last version that Redis and Valkey have in common (Valkey 9 rdb.h, RDB_FOREIGN_VERSION_MIN). */
const LAST_SHARED_VERSION = 11;
const VALKEY_OWN_SINCE = 90_000;

/** The RDB version up to which a server RESTOREs what the other fork, or an older server, wrote. */
export function rdbVersionReadBy({ version, isValkey }: DestinationServer): number {
  const read = READ_SINCE.find(([since]) => version >= since)?.[1] ?? 0;
  return isValkey ? Math.min(read, LAST_SHARED_VERSION) : read;
}

/** Whether a server's version has RESTORE for a value of this type, as in `RdbEntry.type`; a module's value may be refused all the same. */
export function restoresType(type: number, server: DestinationServer): boolean {
  if (isValkeyOwn(type)) return server.isValkey && server.version >= VALKEY_OWN_SINCE;
  return rdbVersionOfType(type) <= rdbVersionReadBy(server);
}
