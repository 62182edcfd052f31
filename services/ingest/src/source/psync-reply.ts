import { ReplyError } from "@sluice/redis";
import { Halt, printable, Retryable, trustFault, type Fault } from "@sluice/runtime";

/** What a source answered to PSYNC. `replid` of a continuation is null where the server does not say it (before 4.0). */
export type PsyncReply =
  | { readonly kind: "full"; readonly replid: string; readonly offset: number }
  | { readonly kind: "continue"; readonly replid: string | null };

const REPLID = /^[0-9a-f]{40}$/;

/** Reads the status line behind PSYNC. Fields that follow the known ones are passed over (Tair adds some). */
export function parsePsyncReply(line: string): PsyncReply {
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
    "source",
    `answer to PSYNC is "${shown}"; expected +FULLRESYNC <id> <offset> or +CONTINUE [<id>]`,
  );
}

const DENIED = new Set(["NOAUTH", "WRONGPASS", "NOPERM"]);
const NOT_READY = new Set(["LOADING", "NOMASTERLINK", "MASTERDOWN", "BUSY"]);

/** The fault that an error reply of a source stands for; other failures are its connection's. */
export function sourceFault(shard: string, cause: unknown): Fault {
  const endpoint = `source ${shard}`;
  const untrusted = trustFault(cause);
  if (untrusted !== null) return new Halt("SRC-017", `${endpoint}: ${printable(untrusted)}`, { cause });
  if (!(cause instanceof ReplyError)) return new Retryable("SRC-001", endpoint, `${endpoint}: the link broke`, { cause });
  const message = `${endpoint} answered ${printable(cause.message.slice(0, 200))}`;
  if (DENIED.has(cause.code)) return new Halt("SRC-002", message, { cause });
  if (NOT_READY.has(cause.code)) return new Retryable("SRC-003", endpoint, message, { cause });
  return new Retryable("SRC-001", endpoint, message, { cause });
}
