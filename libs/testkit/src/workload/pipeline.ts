import type { Redis } from "ioredis";
import type { Command } from "./command.ts";

/** A reply as RESP2 has it, bulk strings as bytes; an error reply is an Error. */
export type Reply = Buffer | number | null | Error | Reply[];

/**
 * Sends all commands in one write and resolves with their replies in order. Never rejects: a lost connection is an Error in
 * the place of each reply that is missing.
 */
export async function runPipeline(client: Redis, commands: readonly Command[]): Promise<Reply[]> {
  if (commands.length === 0) return [];
  const pipeline = client.pipeline();
  for (const [name, ...args] of commands) pipeline.callBuffer(name, ...args);
  try {
    const replies = (await pipeline.exec()) ?? [];
    return replies.map(([error, reply]) => error ?? checkedReply(reply));
  } catch (error) {
    const failure = error instanceof Error ? error : new Error(String(error));
    return commands.map(() => failure);
  }
}

function checkedReply(reply: unknown): Reply {
  if (isReply(reply)) return reply;
  throw new Error(`not a RESP2 reply, but of type ${typeof reply}`);
}

/** Looks at the outermost level only: the client makes nothing else from RESP2 on a buffer call. */
function isReply(reply: unknown): reply is Reply {
  return (
    reply === null || typeof reply === "number" || reply instanceof Error || Buffer.isBuffer(reply) || Array.isArray(reply)
  );
}

/** One more connection like `client` for each database. */
export async function openDatabases(client: Redis, databases: readonly number[]): Promise<Redis[]> {
  const links = databases.map((db) => client.duplicate({ db }));
  for (const link of links) link.on("error", () => undefined);
  await Promise.all(links.map((link) => link.ping()));
  return links;
}
