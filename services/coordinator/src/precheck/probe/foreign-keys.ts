import { replyText, type ServerProbe } from "./server-probe.ts";
import { OWN_KEY_PREFIX } from "@sluice/wire";
import type { Reply } from "@sluice/redis";

/** Keys that are not Sluice's own. */
export interface ForeignKeys {
  /** `in database 3`, `on 127.0.0.1:7001` */
  readonly where: string;
  /** All keys there, Sluice's own included. */
  readonly keys: number;
  readonly db: number;
  /** Names of some of them, one character for each byte. */
  readonly sample: readonly string[];
}

const MOST_SAMPLED = 64;

const SCAN_COUNT = 512;

/** The databases of a server that hold a key which is not Sluice's own. */
export async function firstForeignKeys(server: ServerProbe, whereOf: (db: number) => string): Promise<ForeignKeys[]> {
  const { keyspace } = await server.state();
  if (keyspace.size === 0) return [];
  return server.alone(async (connection) => {
    const foreign: ForeignKeys[] = [];
    for (const [db, keys] of keyspace) {
      if (keyspace.size > 1 || db !== 0) await connection.call(["SELECT", String(db)]);
      let cursor = "0";
      do {
        const { next, keys: found } = scanPage(await connection.call(["SCAN", cursor, "COUNT", String(SCAN_COUNT)]));
        cursor = next;
        const sample = found.filter((key) => !key.startsWith(OWN_KEY_PREFIX)).slice(0, MOST_SAMPLED);
        if (sample.length > 0) {
          foreign.push({ where: whereOf(db), keys, db, sample });
          break;
        }
      } while (cursor !== "0");
    }
    return foreign;
  });
}

/** One answer of SCAN. @throws {Error} it is none. */
export function scanPage(reply: Reply): { readonly next: string; readonly keys: string[] } {
  const [next, keys] = Array.isArray(reply) ? reply : [];
  if (next === undefined || !Array.isArray(keys)) throw new Error("expected a cursor and keys in an answer of SCAN");
  return { next: replyText(next), keys: keys.map((key) => replyText(key)) };
}
