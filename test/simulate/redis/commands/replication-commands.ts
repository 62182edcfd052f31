import type { Call } from "../call.ts";
import { integerOf } from "../number-text.ts";
import { ReplicaFeed } from "../replica-feed.ts";
import { command, type SimCommand } from "../sim-command.ts";
import { failure, NOT_INTEGER, OK, Refusal, type Encoded } from "../sim-reply.ts";
import type { SimServer } from "../sim-server.ts";
import type { SimSession } from "../sim-session.ts";

const OPTIONS = new Set(["listening-port", "ip-address", "capa", "rdb-only", "rdb-filter-only"]);

/** replication.c, `replconfCommand`. ACK is never answered. */
function configure(call: Call): Encoded {
  const { session } = call.server.runner;
  if (session === null) throw new Refusal("ERR REPLCONF is for connections");
  if (call.args.length % 2 === 0) throw new Refusal("ERR syntax error");
  for (let at = 1; at < call.args.length; at += 2) {
    const option = call.arg(at).toLowerCase();
    const value = call.arg(at + 1);
    if (option === "ack") {
      session.feed?.acknowledge(Number(integerOf(value) ?? -1));
      return "";
    }
    if (option === "getack") return "";
    if (!OPTIONS.has(option)) return failure(`ERR Unrecognized REPLCONF option: ${call.arg(at)}`);
    if (option === "listening-port" && integerOf(value) === null) throw NOT_INTEGER;
    if (option === "capa") session.announced.set(`capa ${value.toLowerCase()}`, "yes");
    else session.announced.set(option, value);
  }
  return OK;
}

/** replication.c, `syncCommand` and `masterTryPartialResynchronization`. */
function synchronise(call: Call): Encoded {
  const { server } = call;
  const { session } = server.runner;
  if (session === null) throw new Refusal("ERR PSYNC is for connections");
  if (session.feed !== null) return "";
  if (server.primaryLink?.isLinked === false) {
    throw new Refusal("NOMASTERLINK Can't SYNC while not connected with my master");
  }
  const replid = call.arg(1).toLowerCase();
  const from = integerOf(call.arg(2));
  if (from === null) throw NOT_INTEGER;
  server.settle();
  if (server.log.canContinue(replid, Number(from))) {
    session.feed = new ReplicaFeed(session, null, Infinity, { isDiskless: false, isRdbOnly: false });
    const id = session.announced.has("capa psync2") ? ` ${server.log.replid}` : "";
    return `+CONTINUE${id}\r\n${server.log.since(Number(from)).toString("latin1")}`;
  }
  return fullCopy(server, session);
}

function fullCopy(server: SimServer, session: SimSession): Encoded {
  server.beginBacklog();
  const { log, options } = server;
  const rdb = server.snapshot();
  const isDiskless = options.isDiskless === true && session.announced.has("capa eof");
  const marker = server.newId();
  const header = isDiskless ? `$EOF:${marker}\r\n` : `$${rdb.length}\r\n`;
  const bytes = Buffer.concat([Buffer.from(header), rdb, Buffer.from(isDiskless ? marker : "")]);
  const isRdbOnly = Number(session.announced.get("rdb-only") ?? 0) !== 0;
  session.feed = new ReplicaFeed(session, bytes, options.snapshotChunkBytes ?? Infinity, { isDiskless, isRdbOnly });
  // Whoever begins at a full copy has no database selected, those that take the RDB alone included (`replicationSetupSlaveForFullResync`).
  if (!server.isReplica) log.selectedDb = -1;
  return `+FULLRESYNC ${log.replid} ${log.offset}\r\n`;
}

/** What replicas say to their primary. */
export const replicationCommands: readonly SimCommand[] = [
  command("replconf", -1, "sltb", null, configure),
  command("psync", -3, "sM", null, synchronise),
];
