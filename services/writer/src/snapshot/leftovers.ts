import { ReplyError, type Connection } from "@sluice/redis";
import { parseKeptName } from "@sluice/wire";

/** Taken at a time; each attempt of a lane that breaks off leaves one. */
const MOST_NAMES = 100;

/**
 * Keys of attempts that broke off, out of the set `attempts`: names as `keptName` writes them. Whoever still builds one of them finds out
 * before it takes its key's place. Null where they may not be read: they go by themselves after a day.
 */
export async function readLeftovers(connection: Connection, attempts: string): Promise<Buffer[] | null> {
  const reply = await connection.call(["SRANDMEMBER", attempts, MOST_NAMES]).catch((cause: unknown) => {
    if (cause instanceof ReplyError) return null;
    throw cause;
  });
  return Array.isArray(reply) ? reply.filter((name) => Buffer.isBuffer(name)) : null;
}

/** Deletes them from a server. */
export async function removeLeftovers(connection: Connection, attempts: string, names: readonly Buffer[], remove: string) {
  for (const name of names) {
    const kept = parseKeptName(name);
    if (kept !== null) {
      await connection.call(["SELECT", kept.db]);
      await connection.call([remove, kept.key]);
    }
    await connection.call(["SELECT", 0]);
    await connection.call(["SREM", attempts, name]);
  }
}
