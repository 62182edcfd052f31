import { isBehindMark, lastMade, lastStart, type LaneRecord, type ShardRecord } from "@sluice/wire";
import type { Stored } from "@sluice/bus";
import { laneLag, type SourceView } from "../checkpoint/lane-lag.ts";
import { laneLabels, laneOf, type KnownPipeline } from "./pipeline-book.ts";
import type { CutoverView, LaneFacts, PrecheckView, ShardFacts, StateFacts, WatchFacts, Written } from "./state.ts";

/**
 * What the records of a pipeline say, as `observeState` wants it.
 *
 * A halt or a retry that was written before the spec counts no more: revisions grow over all records of the bucket, and every instance
 * makes its actors anew when it sees another spec, unless groups alone came or went. A halt behind the mark they stay with until the operator starts the pipeline again. What
 * the router says names the spec that it speaks of.
 */
export function factsOf(
  known: KnownPipeline,
  sources: ReadonlyMap<string, SourceView>,
): Omit<StateFacts, "stop" | "previous" | "fullStream"> {
  const since = known.spec === null ? 0 : lastMade(known.spec);
  const start = known.spec === null ? 0 : lastStart(known.spec);
  const seen = <T extends ShardRecord | LaneRecord>(stored: Stored<T> | undefined) =>
    stored === undefined ? null : { ...stored.value, ...heard(stored, since, start) };
  const shards: ShardFacts[] = (known.topology?.value.shards ?? []).map(({ id, floor }) => ({
    id,
    floor,
    owner: known.assignment?.value.shards[id] ?? null,
    seen: seen(known.shards.get(id)),
  }));
  const lanes: LaneFacts[] = laneLabels(known).map(({ label, shardId }) => ({
    label,
    owner: known.assignment?.value.lanes[label] ?? null,
    seen: seen(laneOf(known, label)),
    lagSeconds: laneLag(laneOf(known, label), known.shards.get(shardId)?.value, sources.get(shardId)).seconds,
  }));
  const watches: WatchFacts[] = [...known.watches.values()]
    .filter(({ value }) => value.spec >= since)
    .map(({ value: { retry, halt } }) => ({ retry, halt }));
  return {
    shards,
    lanes,
    watches,
    cutover: cutoverOf(known),
    desired: known.spec?.value.desired ?? "created",
    precheck: precheckOf(known),
    failure: known.spec?.value.failure ?? null,
    isReleased: Object.keys(known.assignment?.value.lanes ?? {}).length === 0,
  };
}

/** What was said of an earlier spec counts no more. */
export function precheckOf({ spec, precheck }: KnownPipeline): PrecheckView | null {
  if (precheck === null || precheck.value.spec !== spec?.revision) return null;
  const { results, verdict } = precheck.value.report;
  const failed = results.find(({ level, waived }) => level === "fail" && waived === null);
  const more = results.filter(({ level, waived }) => level === "fail" && waived === null).length - 1;
  const others = more > 0 ? ` (and ${more} other ${more === 1 ? "check" : "checks"})` : "";
  const reason =
    failed === undefined
      ? ""
      : `${failed.code ?? ""} ${failed.endpoint}: ${failed.found}; expected ${failed.expected}. ${failed.fix}${others}`.trim();
  return { isPassed: verdict !== "fail", reason };
}

function cutoverOf({ cutover }: KnownPipeline): CutoverView | null {
  if (cutover === null || cutover.value.phase === "cancelled") return null;
  const { phase, reason, groups } = cutover.value;
  const open = Object.values(groups).filter(({ isDone }) => !isDone);
  const halt = open.find((group) => group.halt !== null)?.halt ?? null;
  const retry = open.find((group) => group.retry !== null)?.retry ?? null;
  return { phase, reason, halt, retry };
}

type Trouble = Pick<LaneRecord, "retry" | "halt"> & { readonly written: Written };

/** What of its trouble still counts. */
function heard({ value, revision }: Stored<ShardRecord | LaneRecord>, since: number, start: number): Trouble {
  const { instance, retry, halt } = value;
  const written = { by: instance, revision };
  if (revision > since) return { retry, halt, written };
  return { retry: null, halt: revision > start && isBehindMark(halt) ? halt : null, written };
}
