import { OWN_KEY_PREFIX } from "@sluice/wire";
import type { Redis } from "ioredis";
import type { ForeignKeys } from "./facts.ts";

const SCAN_COUNT = 512;

/** Database → number of keys, of `db3:keys=12,expires=0,…` in INFO keyspace. */
export function keyspaceOf(fields: ReadonlyMap<string, string>): Map<number, number> {
  const keyspace = new Map<number, number>();
  for (const [name, value] of fields) {
    const db = /^db(\d+)$/.exec(name)?.[1];
    const keys = /^keys=(\d+)/.exec(value)?.[1];
    if (db !== undefined && keys !== undefined) keyspace.set(Number(db), Number(keys));
  }
  return keyspace;
}

/** The databases of a server that hold a key which is not Sluice's own; looks at keys only until the first such. */
export async function foreignKeys(
  client: Redis,
  keyspace: ReadonlyMap<number, number>,
  whereOf: (db: number) => string,
): Promise<ForeignKeys[]> {
  const foreign: ForeignKeys[] = [];
  for (const [db, keys] of keyspace) {
    if (db !== 0) await client.select(db);
    let cursor = "0";
    do {
      const [next, found] = await client.scan(cursor, "COUNT", SCAN_COUNT);
      cursor = next;
      if (found.some((key) => !key.startsWith(OWN_KEY_PREFIX))) {
        foreign.push({ where: whereOf(db), keys });
        break;
      }
    } while (cursor !== "0");
    if (db !== 0) await client.select(0);
  }
  return foreign;
}
