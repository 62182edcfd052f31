import type { LaneRecord, ShardRecord } from "@sluice/wire";
import type { Stored } from "@sluice/bus";
import { laneLag, type SourceView } from "../checkpoint/lane-lag.ts";
import { laneLabels, type KnownPipeline } from "./pipeline-book.ts";
import type { CutoverView, LaneFacts, PrecheckView, ShardFacts, StateFacts, WatchFacts } from "./state.ts";

/**
 * What the records of a pipeline say, as `observeState` wants it.
 *
 * A halt or a retry that was written before the spec is what an earlier start ended with, and counts no more: every start and
 * stop writes the spec, and revisions grow over all records of the bucket. What the router says names the spec that it speaks of.
 */
export function factsOf(
  known: KnownPipeline,
  sources: ReadonlyMap<string, SourceView>,
): Omit<StateFacts, "stop" | "previous" | "fullStream"> {
  const since = known.spec?.revision ?? 0;
  const shards: ShardFacts[] = (known.topology?.value.shards ?? []).map(({ id, floor }) => ({
    id,
    floor,
    owner: known.assignment?.value.shards[id] ?? null,
    seen: sinceStart(known.shards.get(id), since),
  }));
  const lanes: LaneFacts[] = laneLabels(known).map(({ label, shardId }) => ({
    label,
    owner: known.assignment?.value.lanes[label] ?? null,
    seen: sinceStart(known.lanes.get(label), since),
    lagSeconds: laneLag(
      known.lanes.get(label)?.value ?? null,
      known.shards.get(shardId)?.value ?? null,
      sources.get(shardId) ?? null,
    ).seconds,
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

function sinceStart<T extends ShardRecord | LaneRecord>(record: Stored<T> | undefined, since: number): T | null {
  if (record === undefined) return null;
  return record.revision > since ? record.value : { ...record.value, retry: null, halt: null };
}
