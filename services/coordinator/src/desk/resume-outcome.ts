import type { ShardRecord, TopologyRecord } from "@sluice/wire";
import { formatSpan } from "../lifecycle/format-span.ts";
import type { SourceHistory } from "./source-histories.ts";

/** What a pipeline will do when it runs again: go on from where it is, or copy anew. `unknown`: its source can't be asked now. */
export interface Outlook {
  readonly outcome: "continues" | "copies" | "unknown";
  readonly why: string;
}

export interface OutlookFacts {
  readonly topology: TopologyRecord | null;
  /** By shard. */
  readonly shards: ReadonlyMap<string, ShardRecord>;
  readonly histories: ReadonlyMap<string, SourceHistory>;
  /** How long nothing was applied, and how long expiries in the destinations bear that. */
  readonly idleMs: number;
  readonly graceMs: number;
}

/** So much of the grace is left for what the pipeline itself needs until it applies again, or a twentieth. */
const GRACE_LEFT_MS = 60_000;

/**
 * Foretells what ingest will decide when it links to the source, by the same facts: the history that its lanes are in, and what the source's
 * backlog holds. One shard that has to be copied makes it `copies`, and is named.
 */
export function outlookOf({ topology, shards, histories, idleMs, graceMs }: OutlookFacts): Outlook {
  if (topology === null) return { outcome: "copies", why: "nothing was ever read from the source" };
  if (isTooLong(idleMs, graceMs)) {
    const why = `nothing was applied for ${formatSpan(idleMs)}: keys that the source has renewed meanwhile may have expired in the destinations`;
    return { outcome: "copies", why };
  }
  const each = topology.shards.map(({ id, floor }) => ({ id, ...ofShard(shards.get(id) ?? null, floor, histories.get(id)) }));
  const found =
    each.find(({ outcome }) => outcome === "copies") ?? each.find(({ outcome }) => outcome === "unknown") ?? each[0];
  if (found === undefined) return { outcome: "copies", why: "the source has no shard" };
  if (found.outcome === "continues") return { outcome: "continues", why: "the source still holds what follows" };
  return { outcome: found.outcome, why: `shard ${found.id}: ${found.why}` };
}

/** Expiries that ran out meanwhile can't be had back from the changes alone (H19). */
export function isTooLong(idleMs: number, graceMs: number): boolean {
  return idleMs > graceMs - Math.min(GRACE_LEFT_MS, graceMs / 20);
}

function ofShard(shard: ShardRecord | null, floor: number, history: SourceHistory | undefined): Outlook {
  if (shard === null || shard.epoch === 0) return { outcome: "copies", why: "nothing was ever read from it" };
  if (shard.epoch <= floor) return { outcome: "copies", why: "its slots changed, or what was stored of it is lost" };
  if (shard.phase === "copying") return { outcome: "copies", why: "its full copy was broken off" };
  if (history === undefined) return { outcome: "unknown", why: "it was not asked" };
  if (history.kind === "silent") return { outcome: "unknown", why: `it can't be asked now: ${history.why}` };
  const { replid, formerReplid, secondReplOffset, backlog } = history;
  const next = shard.storedOffset + 1;
  if (replid !== shard.replid && formerReplid !== shard.replid) {
    return { outcome: "copies", why: "the source knows nothing of the history that is stored" };
  }
  if (replid !== shard.replid && shard.storedOffset >= secondReplOffset) {
    return {
      outcome: "copies",
      why: `changes up to ${shard.storedOffset} are stored, and the source's own history begins at ${secondReplOffset}`,
    };
  }
  if (backlog === null) return { outcome: "copies", why: "the source keeps no backlog" };
  if (next >= backlog.first && next <= backlog.last + 1) return { outcome: "continues", why: "" };
  return { outcome: "copies", why: `the source's backlog holds ${backlog.first} to ${backlog.last}, and ${next} is to follow` };
}
