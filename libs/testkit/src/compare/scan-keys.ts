import type { Redis } from "ioredis";

/** Numbers of keys by database, from INFO keyspace. A replica counts keys that have expired but are not deleted yet. */
export async function keyspaceCounts(client: Redis): Promise<Map<number, number>> {
  const found = (await client.info("keyspace")).matchAll(/^db(\d+):keys=(\d+)/gm);
  return new Map(Array.from(found, ([, db, keys]) => [Number(db), Number(keys)]));
}

/** All keys of the client's database, each once, in pages. Keys that are created or deleted meanwhile may be missing. */
export async function* scanKeys(client: Redis, pageSize: number): AsyncGenerator<Buffer[]> {
  const seen = new Set<string>();
  let cursor = "0";
  do {
    const [next, page] = await client.scanBuffer(cursor, "COUNT", pageSize);
    cursor = next.toString();
    const fresh = page.filter((key) => {
      const name = key.toString("latin1");
      return !seen.has(name) && seen.add(name);
    });
    if (fresh.length > 0) yield fresh;
  } while (cursor !== "0");
}
