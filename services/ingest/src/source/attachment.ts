import type { Records } from "@sluice/bus";
import type { Endpoint } from "@sluice/redis";
import { Halt, Retryable, type Clock } from "@sluice/runtime";
import { BatchKind, recordKey, shardRecord, topologyRecord } from "@sluice/wire";
import type { LaneTail, ResumePoint } from "../lanes/resume-point.ts";
import { whyNotFirstDatabase } from "./other-databases.ts";
import { ReplicaLink } from "./replica-link.ts";
import { selectedDatabase } from "./selected-database.ts";
import type { SourceFacts } from "./source-facts.ts";

/** Bytes of the source's backlog that are looked at for the database that is selected. */
const LOOK_BACK_BYTES = 16 * 2 ** 20;
/** They come from the source's memory; one that is slower is asked another time. */
const LOOK_BACK_MS = 30_000;
/** Parts of a full backlog that are asked for, the first time and the second. */
const SHARES = [2, 8] as const;

/** Where a shard's changes begin that is attached to without a copy. */
export type Attachment = Pick<ResumePoint, "replid" | "offset" | "db">;

/** What is asked of a source here. */
export type AskedLink = Pick<ReplicaLink, "facts" | "text" | "psync" | "chunks" | "close">;

/** Of whom it is asked, and how. */
interface Asking {
  readonly shard: string;
  readonly endpoint: Endpoint;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly open: (shard: string, endpoint: Endpoint, signal: AbortSignal) => Promise<AskedLink>;
}

/**
 * Finds where to attach to a source as it stands: behind the last byte of its stream, by what it said of itself (`facts`). Throws `Halt`
 * SRC-018 where it can't be attached to.
 *
 * A source that continues a stream does not say again which database is selected in it (H35). In a cluster there is one; elsewhere the
 * backlog is asked for on a link of its own, for the last SELECT in it. Where it holds none the stream is in database 0 if nobody can ever
 * have been in another one, see `whyNotFirstDatabase`; else nobody can tell. A source that answers with a full copy has forked for nothing:
 * it is asked once more, as it stands by then and for less, and not a third time.
 *
 * `open`: for tests.
 */
export async function findAttachment(
  shard: string,
  endpoint: Endpoint,
  facts: SourceFacts,
  clock: Clock,
  signal: AbortSignal,
  open: Asking["open"] = openLink,
): Promise<Attachment> {
  const asking: Asking = { shard, endpoint, clock, signal, open };
  const { replid, offset } = historyOf(shard, facts);
  if (facts.isCluster) return { replid, offset, db: 0 };
  const db = await lookBack(asking, facts, SHARES[0]);
  if (db !== "full") return { replid, offset, db: await settled(asking, facts, db) };
  const again = await lookAgain(asking, facts);
  return { ...historyOf(shard, again.facts), db: await settled(asking, again.facts, again.db) };
}

async function openLink(...of: Parameters<Asking["open"]>): Promise<AskedLink> {
  return ReplicaLink.open(...of);
}

type Found = ReturnType<typeof selectedDatabase>;

/** The end of the source's stream. Throws `Halt` SRC-018 where it has no history. */
function historyOf(shard: string, { replid, backlog }: SourceFacts): Pick<Attachment, "replid" | "offset"> {
  if (replid === "") throw refusal(shard, "it names no replication id, as Redis before 4.0 does not");
  if (backlog === null) throw refusal(shard, "it keeps no backlog, since no replica was attached to it lately");
  return { replid, offset: backlog.last };
}

/** The database, by what was found in the backlog, and where nothing was by what clients use. Throws `Halt` SRC-018. */
async function settled({ shard, endpoint, signal, open }: Asking, facts: SourceFacts, found: Found): Promise<number> {
  if (typeof found === "number") return found;
  const untold = "its backlog does not tell which database its stream is in";
  if (found === "unframed") throw refusal(shard, `${untold}: what it holds last can't be read as commands`);
  const link = await open(shard, endpoint, signal);
  try {
    const commandStats = await link.text(["INFO", "commandstats"]);
    const clients = await link.text(["CLIENT", "LIST"]);
    const why = whyNotFirstDatabase({ databases: facts.databases, commandStats, clients });
    if (why !== null) throw refusal(shard, `${untold}, and that it is 0 is not certain: ${why}`);
    return 0;
  } finally {
    link.close();
  }
}

/** The second look. Whatever goes wrong with it is the end: to begin anew would be to make the source fork as often as it likes. */
async function lookAgain(asking: Asking, before: SourceFacts): Promise<{ facts: SourceFacts; db: Found }> {
  const { shard, endpoint, signal, open } = asking;
  const why = "it answered with a full copy when its backlog was asked for, and";
  try {
    const link = await open(shard, endpoint, signal);
    const facts = await link.facts().finally(() => link.close());
    historyOf(shard, facts);
    if (facts.role !== before.role) throw refusal(shard, `${why} its role changed`);
    const db = await lookBack(asking, facts, SHARES[1]);
    if (db === "full") throw refusal(shard, `${why} so it did again: \`repl-backlog-size\` is too small for what it writes`);
    return { facts, db };
  } catch (cause) {
    if (signal.aborted || !(cause instanceof Retryable)) throw cause;
    throw refusal(shard, `${why} could not be asked again`, cause);
  }
}

function refusal(shard: string, why: string, cause?: Error): Halt {
  return new Halt(
    "SRC-018",
    `source ${shard} can't be attached to without a copy: ${why}`,
    cause === undefined ? {} : { cause },
  );
}

/** What the end of the backlog says of the database; "full" where the source answers with a full copy. */
async function lookBack(asking: Asking, facts: SourceFacts, share: number): Promise<Found | "full"> {
  const { replid, offset } = historyOf(asking.shard, facts);
  const from = lookBackFrom(facts, offset, share);
  if (from > offset) return "none";
  const window = await readBacklog(asking, { replid, from, offset });
  return window === null ? "full" : selectedDatabase(window);
}

/**
 * The first byte to be looked at. Half of a backlog that is full is left alone: the source writes on, and were its oldest byte asked for it
 * would be gone by then, so that the source answered with a full copy. `share`: 2 for half of it, 8 for all but an eighth.
 */
function lookBackFrom({ backlog, backlogSizeBytes }: SourceFacts, last: number, share: number): number {
  const first = backlog?.first ?? 0;
  const part = Math.floor(backlogSizeBytes / share);
  const isRoomy = last - first + 1 <= part;
  return Math.max(first, last + 1 - Math.min(LOOK_BACK_BYTES, isRoomy ? Infinity : part));
}

/** The bytes `from` to `offset` of the source's stream; null where it answers with a full copy. Throws `Retryable` SRC-001 or SRC-003. */
async function readBacklog(
  { shard, endpoint, clock, signal, open }: Asking,
  { replid, from, offset }: { replid: string; from: number; offset: number },
): Promise<Buffer | null> {
  const link = await open(shard, endpoint, signal);
  const over = new AbortController();
  const close = (): void => link.close();
  signal.addEventListener("abort", close, { once: true });
  void clock.sleep(LOOK_BACK_MS, AbortSignal.any([signal, over.signal])).then(close);
  try {
    const reply = await link.psync(replid, from - 1);
    if (reply.kind === "full") return null;
    if (reply.replid !== null && reply.replid !== replid)
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
