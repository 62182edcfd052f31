import type { Call } from "../call.ts";
import { NO_EXPIRY, type SimDatabase } from "../keyspace.ts";
import type { WatchedKey } from "../sim-client.ts";
import { command, type SimCommand } from "../sim-command.ts";
import { failure, list, NIL_ARRAY, OK, Refusal, type Encoded } from "../sim-reply.ts";

function hasExpired(call: Call, db: SimDatabase, key: string): boolean {
  const expireAtMs = db.entries.get(key)?.expireAtMs ?? NO_EXPIRY;
  return expireAtMs !== NO_EXPIRY && call.nowMs > expireAtMs;
}

function multi({ client }: Call): Encoded {
  if (client.queue !== null) throw new Refusal("ERR MULTI calls can not be nested");
  client.queue = [];
  client.isSpoilt = false;
  return OK;
}

/** multi.c, `execCommand`: what was queued runs whatever becomes of it; nothing is rolled back. */
function exec(call: Call): Encoded {
  const { client, server } = call;
  const { queue } = client;
  if (queue === null) throw new Refusal("ERR EXEC without MULTI");
  if (client.watched.some((watched) => !watched.wasExpired && hasExpired(call, watched.db, watched.key))) client.isDirty = true;
  const { isSpoilt, isDirty } = client;
  client.endTransaction();
  if (isSpoilt) return failure("EXECABORT Transaction discarded because of previous errors.");
  if (isDirty) return NIL_ARRAY;
  return list(queue.map((queued) => server.runner.execute(client, queued.command, queued.args)));
}

function discard({ client }: Call): Encoded {
  if (client.queue === null) throw new Refusal("ERR DISCARD without MULTI");
  client.endTransaction();
  return OK;
}

function watch(call: Call): Encoded {
  const { client, db } = call;
  if (client.queue !== null) throw new Refusal("ERR WATCH inside MULTI is not allowed");
  for (const key of call.args.slice(1)) {
    if (client.watched.some((watched) => watched.db === db && watched.key === key)) continue;
    const watched: WatchedKey = { client, db, key, wasExpired: hasExpired(call, db, key) };
    client.watched.push(watched);
    const watchers = db.watchers.get(key);
    if (watchers === undefined) db.watchers.set(key, new Set([watched]));
    else watchers.add(watched);
  }
  return OK;
}

function unwatch({ client }: Call): Encoded {
  client.unwatch();
  client.isDirty = false;
  return OK;
}

/** Transactions. */
export const transactionCommands: readonly SimCommand[] = [
  command("multi", 1, "sltb", null, multi),
  command("exec", 1, "slt", null, exec),
  command("discard", 1, "sltb", null, discard),
  command("watch", -2, "sltb", [1, -1, 1], watch),
  command("unwatch", 1, "sltb", null, unwatch),
];
