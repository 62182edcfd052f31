import type { Redis } from "ioredis";
import { openDatabases } from "../workload/pipeline.ts";
import { byText, type CanonicalContent, type CanonicalKey } from "./canonical.ts";
import { readFunctions } from "./read-functions.ts";
import { readKeys } from "./read-value.ts";
import { keyspaceCounts, scanKeys } from "./scan-keys.ts";

const PAGE_KEYS = 200;

/**
 * Reads everything a server (Redis 7.0 or newer) holds; meant for some thousands of keys, while nobody writes.
 *
 * @param client any connection to it; databases are read through further ones
 * @throws Error for a value of a type that only a module knows
 */
export async function readCanonical(client: Redis): Promise<CanonicalContent> {
  const server = await client.info("server");
  const version = /^(valkey|redis)_version:(\S+)/m;
  const [, name = "redis", number = ""] = /^(valkey)_version:(\S+)/m.exec(server) ?? version.exec(server) ?? [];
  const databases: Record<string, number> = {};
  const keys: CanonicalKey[] = [];
  for (const db of [...(await keyspaceCounts(client)).keys()].toSorted((left, right) => left - right)) {
    const found = await readDatabase(client, db);
    if (found.length > 0) databases[db] = found.length;
    for (const key of found) keys.push(key);
  }
  return { server: name, version: number, databases, functions: await readFunctions(client), scripts: [], keys };
}

async function readDatabase(client: Redis, db: number): Promise<CanonicalKey[]> {
  const [link] = await openDatabases(client, [db]);
  if (link === undefined) return [];
  const keys: CanonicalKey[] = [];
  try {
    for await (const page of scanKeys(link, PAGE_KEYS)) {
      for (const key of await readKeys(link, db, page)) if (key !== undefined) keys.push(key);
    }
  } finally {
    link.disconnect();
  }
  return keys.toSorted((left, right) => byText(left.key, right.key));
}
