import { isOwnKey } from "@sluice/wire";
import { Connection, type Endpoint, type Reply } from "@sluice/redis";
import { destinationFault } from "../apply/standalone-destination.ts";
import type { KeySet } from "./key-set.ts";

const SCAN_COUNT = 1_000;

/** Keys of one database that no copy held. */
export interface StaleKeys {
  readonly db: number;
  readonly keys: readonly Buffer[];
}

/**
 * Walks a destination once and yields, chunk by chunk, the keys that `held` does not know, in every database, but only those
 * that the lane owns and never Sluice's own. SCAN returns every key that is there from begin to end; one that it returns twice is yielded twice, and deleting
 * it twice is harmless.
 */
export async function* staleKeys(
  name: string,
  endpoint: Endpoint,
  held: Pick<KeySet, "has">,
  owns: (key: Buffer) => boolean,
  signal: AbortSignal,
): AsyncGenerator<StaleKeys> {
  let connection: Connection | null = null;
  try {
    connection = await Connection.open(endpoint, { name: "sluice-sweep", signal });
    for (const db of databasesIn(await connection.call(["INFO", "keyspace"]))) {
      await connection.call(["SELECT", db]);
      let cursor = "0";
      do {
        const [next, keys] = readScan(await connection.call(["SCAN", cursor, "COUNT", SCAN_COUNT]));
        const stale = keys.filter((key) => owns(key) && !isOwnKey(key) && !held.has(db, key));
        if (stale.length > 0) yield { db, keys: stale };
        cursor = next;
      } while (cursor !== "0");
    }
  } catch (cause) {
    throw destinationFault(name, cause);
  } finally {
    connection?.close();
  }
}

function databasesIn(info: Reply): number[] {
  const text = Buffer.isBuffer(info) ? info.toString("latin1") : String(info);
  return [...text.matchAll(/^db(\d+):/gm)].map(([, db]) => Number(db));
}

function readScan(reply: Reply): [cursor: string, keys: Buffer[]] {
  if (!Array.isArray(reply) || !Array.isArray(reply[1])) throw new Error("SCAN answered something else than a cursor and keys");
  return [String(reply[0]), reply[1].filter((key) => Buffer.isBuffer(key))];
}
