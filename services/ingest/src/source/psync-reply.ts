import { ReplyError } from "@sluice/redis";
import { Halt, printable, Retryable, trustFault, type Fault } from "@sluice/runtime";

/** What a source answered to PSYNC. `replid` of a continuation is null where the server does not say it (before 4.0). */
export type PsyncReply =
  | { readonly kind: "full"; readonly replid: string; readonly offset: number }
  | { readonly kind: "continue"; readonly replid: string | null };

const REPLID = /^[0-9a-f]{40}$/;

/** Reads the status line behind PSYNC of `endpoint`. Fields that follow the known ones are passed over (Tair adds some). */
export function parsePsyncReply(line: string, endpoint: string): PsyncReply {
  const [word, replid, offset] = line.split(" ");
  if (word === "CONTINUE" && (replid === undefined || REPLID.test(replid))) return { kind: "continue", replid: replid ?? null };
  if (
    word === "FULLRESYNC" &&
    replid !== undefined &&
    REPLID.test(replid) &&
    offset !== undefined &&
    /^\d{1,16}$/.test(offset)
  ) {
    return { kind: "full", replid, offset: Number(offset) };
  }
  const shown = printable(line.slice(0, 80));
  throw new Retryable(
    "SRC-001",
    endpoint,
    `answer to PSYNC is "${shown}"; expected +FULLRESYNC <id> <offset> or +CONTINUE [<id>]`,
  );
}

const DENIED = new Set(["NOAUTH", "WRONGPASS", "NOPERM", "DENIED"]);
/** As servers before 6 refuse AUTH, and those from 6 on where it does not fit their users. */
const REFUSED_AUTH =
  /^ERR (invalid password|operation not permitted|Client sent AUTH|AUTH <|wrong number of arguments for 'auth')/i;
const NOT_READY = new Set(["LOADING", "NOMASTERLINK", "MASTERDOWN", "BUSY", "NOREPLICAS", "MISCONF", "CLUSTERDOWN"]);
/** A replica that has lost its primary, before 4.0 (replication.c, `syncCommand`). */
const NO_PRIMARY = /^ERR Can't SYNC while not connected/i;
const UNKNOWN_COMMAND = /^ERR unknown command/i;

/** The fault that an error reply of a source stands for; other failures are its connection's. */
export function sourceFault(shard: string, cause: unknown): Fault {
  const endpoint = `source ${shard}`;
  const untrusted = trustFault(cause);
  if (untrusted !== null) return new Halt("SRC-017", `${endpoint}: ${printable(untrusted)}`, { cause });
  if (!(cause instanceof ReplyError)) return new Retryable("SRC-001", endpoint, `${endpoint}: the link broke`, { cause });
  const message = `${endpoint} answered ${printable(cause.message.slice(0, 200))}`;
  if (DENIED.has(cause.code) || REFUSED_AUTH.test(cause.message)) return new Halt("SRC-002", message, { cause });
  if (NOT_READY.has(cause.code) || NO_PRIMARY.test(cause.message))
    return new Retryable("SRC-003", endpoint, message, { cause });
  return new Retryable("SRC-001", endpoint, message, { cause });
}

/** The same for a command of replication: every server that can be replicated from has it, if not by the name that it was `sent` by. */
export function replicationFault(shard: string, sent: string, name: "PSYNC" | "REPLCONF", cause: unknown): Fault {
  if (!(cause instanceof ReplyError) || !UNKNOWN_COMMAND.test(cause.message)) return sourceFault(shard, cause);
  const field = `source.commands.${name.toLowerCase()}`;
  const why = `source ${shard} does not know ${sent}, and every server from Redis 2.8 on has ${name}`;
  return new Halt("SRC-021", `${why}: it was renamed, or taken away. If renamed, \`${field}\` says to what`, { cause });
}

/**
 * The fault of a full copy of which nothing came: the source answered +FULLRESYNC, and then an error, or the end of the link. `said`: what it sent,
 * null where it closed.
 */
export function noCopyFault(endpoint: string, said: string | null, cause?: unknown): Retryable {
  const what =
    said === null ? "closed the link before the first byte of it" : `sent ${printable(said.slice(0, 200))} in its place`;
  const options = cause === undefined ? {} : { cause };
  return new Retryable("SRC-020", endpoint, `${endpoint} promised a full copy, and ${what}`, options);
}
