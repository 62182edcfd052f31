import type { Records } from "@sluice/bus";
import type { Endpoint } from "@sluice/redis";
import { Halt, Retryable, type Clock } from "@sluice/runtime";
import { BatchKind, recordKey, shardRecord, topologyRecord } from "@sluice/wire";
import type { LaneTail, ResumePoint } from "../lanes/resume-point.ts";
import { ReplicaLink } from "./replica-link.ts";
import { selectedDatabase } from "./selected-database.ts";
import type { SourceFacts } from "./source-facts.ts";

/** Bytes of the source's backlog that are looked at for the database that is selected. */
const LOOK_BACK_BYTES = 16 * 2 ** 20;
/** They come from the source's memory; one that is slower is asked another time. */
const LOOK_BACK_MS = 30_000;

/** Where a shard's changes begin that is attached to without a copy. */
export type Attachment = Pick<ResumePoint, "replid" | "offset" | "db">;

/**
 * Finds where to attach to a source as it stands: behind the last byte of its stream, by what it said of itself (`facts`). Throws `Halt`
 * SRC-018 where it can't be attached to.
 *
 * A source that continues a stream does not say again which database is selected in it (H35). In a cluster there is one; elsewhere the
 * backlog is asked for once, on a link of its own, for the last SELECT in it. A source whose backlog holds none has written to one database
 * for all of it, which is the one that holds keys; where several do, nobody can tell.
 */
export async function findAttachment(
  shard: string,
  endpoint: Endpoint,
  facts: SourceFacts,
  clock: Clock,
  signal: AbortSignal,
): Promise<Attachment> {
  const { replid, backlog, isCluster, databases } = facts;
  const refuse = (why: string): Halt => new Halt("SRC-018", `source ${shard} can't be attached to without a copy: ${why}`);
  if (replid === "") throw refuse("it names no replication id, as Redis before 4.0 does not");
  if (backlog === null) throw refuse("it keeps no backlog, since no replica was attached to it lately");
  const offset = backlog.last;
  if (isCluster) return { replid, offset, db: 0 };
  const from = lookBackFrom(facts, backlog);
  const window = from > offset ? Buffer.alloc(0) : await readBacklog(shard, endpoint, { replid, from, offset }, clock, signal);
  const db = selectedDatabase(window);
  if (db !== null) return { replid, offset, db };
  if (databases.length > 1)
    throw refuse(`its backlog does not tell which of the databases ${databases.join(", ")} its stream is in`);
  return { replid, offset, db: databases[0] ?? 0 };
}

/**
 * The first byte to be looked at. Half of a backlog that is full is left alone: the source writes on, and were its oldest byte asked for it
 * would be gone by then, so that the source answered with a full copy.
 */
function lookBackFrom({ backlogSizeBytes }: SourceFacts, { first, last }: { first: number; last: number }): number {
  const half = Math.floor(backlogSizeBytes / 2);
  const isRoomy = last - first + 1 <= half;
  return Math.max(first, last + 1 - Math.min(LOOK_BACK_BYTES, isRoomy ? Infinity : half));
}

/** The bytes `from` to `offset` of the source's stream. Throws `Retryable` SRC-001 or SRC-003. */
async function readBacklog(
  shard: string,
  endpoint: Endpoint,
  { replid, from, offset }: { replid: string; from: number; offset: number },
  clock: Clock,
  signal: AbortSignal,
): Promise<Buffer> {
  const link = await ReplicaLink.open(shard, endpoint, signal);
  const over = new AbortController();
  const close = (): void => link.close();
  signal.addEventListener("abort", close, { once: true });
  void clock.sleep(LOOK_BACK_MS, AbortSignal.any([signal, over.signal])).then(close);
  try {
    const reply = await link.psync(replid, from - 1);
    if (reply.kind === "full" || (reply.replid !== null && reply.replid !== replid))
      throw new Retryable("SRC-003", `source ${shard}`, "the source's history changed while its backlog was asked for");
    const wanted = offset - from + 1;
    const chunks: Buffer[] = [];
    let received = 0;
    for await (const chunk of link.chunks()) {
      chunks.push(chunk);
      received += chunk.length;
      if (received >= wanted) break;
    }
    return Buffer.concat(chunks).subarray(0, wanted);
  } finally {
    over.abort();
    signal.removeEventListener("abort", close);
    link.close();
  }
}

/** What is known of a shard before it is attached to. */
export interface EarlierShard {
  readonly pipeline: string;
  readonly floor: number;
  /** Epoch of the shard's record. */
  readonly epoch: number;
  readonly tails: readonly LaneTail[];
}

/**
 * Why a shard must not be attached to at the source's present offset: it, or the shards that its slots come from, were read before, and what
 * the source wrote since would be passed over. Null at a pipeline's beginning. An attachment that broke off has left fences alone, and no
 * epoch in the record.
 */
export async function whyNotFirst(records: Records, { pipeline, floor, epoch, tails }: EarlierShard): Promise<string | null> {
  if (epoch > floor) return "what was stored of it on the bus is lost";
  if (epoch > 0) return "its slots changed, or a copy of it was asked for";
  if (tails.some(({ live }) => live !== null && live.kind !== BatchKind.fence && live.epoch > 0))
    return "it was read before, and its record is lost";
  const topology = await records.get(recordKey.topology(pipeline), topologyRecord);
  for (const { id } of topology?.value.shards ?? []) {
    const other = (await records.get(recordKey.shard(pipeline, id), shardRecord))?.value.epoch ?? 0;
    if (other > 0 && other <= floor) return `its slots were read as those of ${id} before`;
  }
  return null;
}
