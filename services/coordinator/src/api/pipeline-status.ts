import type { StreamSize } from "@sluice/bus";
import {
  expiryGraceMs,
  lastMade,
  type AlarmStatus,
  type GroupStatus,
  type LaneRecord,
  type LaneStatus,
  type PipelineStatus,
  type ShardStatus,
  type WaitStatus,
} from "@sluice/wire";
import { laneLag, type SourceView } from "../checkpoint/lane-lag.ts";
import type { PipelineRates } from "../checkpoint/pipeline-rates.ts";
import { laneLabels, laneOf, type KnownPipeline } from "../lifecycle/pipeline-book.ts";
import { groupStatuses } from "./group-progress.ts";

/** Of the newest events; the rest is at `/events`. */
const EVENTS_SHOWN = 50;
const NO_COPY = { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 };

/** What the API shows of a pipeline; `stream` is null where there is none, `rates` where nobody measures. `known.spec` must be there. */
export function statusOf(
  known: KnownPipeline,
  sources: ReadonlyMap<string, SourceView>,
  stream: StreamSize | null,
  rates: PipelineRates | null = null,
): PipelineStatus {
  const spec = known.spec?.value;
  if (spec === undefined) throw new Error(`pipeline ${known.name} has no spec`);
  const shards = shardStatusesOf(known, sources, rates);
  const lanes = laneStatusesOf(known, sources);
  const sampled = shards.map(({ id }) => sources.get(id)?.newest?.atMs ?? 0);
  const precheck = known.precheck?.value.report;
  const isEveryShardFresh = shards.every(({ id }) => sources.get(id)?.newest?.isFresh === true);
  return {
    name: known.name,
    state: known.state?.value.state ?? "created",
    desired: spec.desired,
    since: known.state?.value.since ?? spec.createdAt,
    reason: known.state?.value.reason ?? "accepted; no instance has taken it up yet",
    sampledAt: sampled.length === 0 ? 0 : Math.min(...sampled),
    drained: isEveryShardFresh && lanes.length > 0 && lanes.every(({ isDrained }) => isDrained),
    expiryGraceMs: expiryGraceMs(spec.pipeline),
    stream: { messages: stream?.messages ?? 0, bytes: stream?.bytes ?? 0, limitBytes: stream?.limitBytes ?? null },
    events: (known.events?.value.events ?? []).slice(-EVENTS_SHOWN),
    shards,
    lanes: lanes.map(({ status }) => status),
    groups: groupsOf(
      known,
      shards,
      lanes.map(({ status }) => status),
      rates,
    ),
    waits: waitsOf(known),
    alarms: alarmsOf(known),
    precheck: precheck === undefined ? null : { at: precheck.at, verdict: precheck.verdict },
    checkpoint: known.checkpoint?.value ?? null,
    cutover: known.cutover?.value ?? null,
  };
}

/** Endpoints whose retry window is open since the pipeline was last started. */
function waitsOf({ windows, spec }: KnownPipeline): WaitStatus[] {
  if (windows === null || windows.value.spec < (spec === null ? 0 : lastMade(spec))) return [];
  return windows.value.windows.map(({ endpoint, kind, reason, since, elapsedMs, windowMs }) => ({
    endpoint,
    kind,
    reason,
    since,
    secondsLeft: Math.max(0, windowMs - elapsedMs) / 1000,
  }));
}

function alarmsOf({ memory }: KnownPipeline): AlarmStatus[] {
  return (memory?.value.alarms ?? []).map(({ group, server, since, lost, text }) => ({
    id: "evictions" as const,
    group,
    server,
    since,
    lost,
    text,
  }));
}

function groupsOf(
  known: KnownPipeline,
  shards: readonly ShardStatus[],
  lanes: readonly LaneStatus[],
  rates: PipelineRates | null,
): GroupStatus[] {
  const groups = known.spec?.value.pipeline.destinations.map(({ group }) => group) ?? [];
  const servers = Object.values(known.memory?.value.servers ?? {});
  const statuses = groups.flatMap((group) => groupStatuses([group], copiedFor(known, group, shards), lanes, rates));
  return statuses.map((status) => {
    const own = servers.filter(({ group }) => group === status.group);
    const evictedKeys = own.length === 0 ? null : own.reduce((sum, { lost }) => sum + lost, 0);
    const filteredCommands = filteredOf(known, status.group, lanes);
    return { ...status, evictedKeys, ...keptOf(known, status.group), filteredCommands };
  });
}

/** The shards with what was copied of them for a group, where that was a copy of its own. */
function copiedFor(known: KnownPipeline, group: string, shards: readonly ShardStatus[]): ShardStatus[] {
  const added = known.spec?.value.additions?.[group];
  return shards.map((shard) => {
    const seen = known.shards.get(shard.id)?.value;
    const own = seen?.copies?.findLast(({ epoch, groups }) => epoch === seen.epoch && groups[group] === added?.number);
    return added === undefined || own === undefined ? shard : { ...shard, copied: own.copied };
  });
}

/** Null where the group gets every command. */
function filteredOf(known: KnownPipeline, group: string, lanes: readonly LaneStatus[]): number | null {
  const spec = known.spec?.value.pipeline.destinations.find((destination) => destination.group === group);
  if ((spec?.commands.exclude ?? []).length === 0) return null;
  return lanes.filter((lane) => lane.group === group).reduce((sum, lane) => sum + lane.filteredCommands, 0);
}

/** Of all lanes of the group that have told it. */
function keptOf(known: KnownPipeline, group: string): Pick<GroupStatus, "keptKeys" | "keptEntries" | "keptCommands"> {
  const own = laneLabels(known).filter((lane) => lane.group === group);
  const seen = own.flatMap(({ label }) => laneOf(known, label)?.value ?? []);
  const told = seen.filter(({ keptKeys }) => keptKeys !== undefined);
  const sum = (of: (lane: LaneRecord) => number | undefined): number =>
    told.reduce((total, lane) => total + (of(lane) ?? 0), 0);
  return {
    keptKeys: told.length === 0 ? null : sum(({ keptKeys }) => keptKeys),
    keptEntries: sum(({ keptEntries }) => keptEntries),
    keptCommands: sum(({ keptCommands }) => keptCommands),
  };
}

function shardStatusesOf(
  known: KnownPipeline,
  sources: ReadonlyMap<string, SourceView>,
  rates: PipelineRates | null,
): ShardStatus[] {
  return (known.topology?.value.shards ?? []).map(({ id }) => {
    const seen = known.shards.get(id)?.value;
    const sample = sources.get(id)?.newest ?? null;
    return {
      id,
      instance: known.assignment?.value.shards[id] ?? null,
      phase: seen?.phase ?? "connecting",
      epoch: seen?.epoch ?? 0,
      term: seen?.term ?? 0,
      sourceOffset: sample?.isFresh === true ? sample.offset : null,
      storedOffset: seen?.storedOffset ?? 0,
      copied: seen?.copied ?? NO_COPY,
      commands: seen?.commands ?? 0,
      bytes: seen?.bytes ?? 0,
      keysPerSecond: rates?.shard(id).keys ?? null,
      bytesPerSecond: rates?.shard(id).bytes ?? null,
      retry: seen?.retry ?? null,
      halt: seen?.halt ?? null,
    };
  });
}

function laneStatusesOf(
  known: KnownPipeline,
  sources: ReadonlyMap<string, SourceView>,
): { status: LaneStatus; isDrained: boolean }[] {
  return laneLabels(known).map(({ label, group, shardId, lane }) => {
    const heard = laneOf(known, label);
    const seen = heard?.value;
    const lag = laneLag(heard, known.shards.get(shardId)?.value, sources.get(shardId));
    const status = {
      group,
      shard: shardId,
      lane,
      instance: known.assignment?.value.lanes[label] ?? null,
      phase: seen?.phase ?? "snap",
      epoch: seen?.epoch ?? 0,
      copy: seen?.copy ?? 0,
      appliedOffset: seen?.offset ?? 0,
      sequence: seen?.sequence ?? 0,
      keys: seen?.keys ?? 0,
      units: seen?.units ?? 0,
      bytes: seen?.bytes ?? 0,
      transactions: seen?.transactions ?? 0,
      stale: seen?.stale ?? 0,
      repairedKeys: seen?.repairedKeys ?? 0,
      skippedErrors: seen?.skippedErrors ?? 0,
      unsupported: seen?.unsupported ?? 0,
      keptKeys: seen?.keptKeys ?? 0,
      keptEntries: seen?.keptEntries ?? 0,
      keptCommands: seen?.keptCommands ?? 0,
      filteredCommands: seen?.filteredCommands ?? 0,
      lagBytes: lag.bytes,
      lagSeconds: lag.seconds,
      retry: seen?.retry ?? null,
      halt: seen?.halt ?? null,
    };
    return { status, isDrained: lag.isDrained };
  });
}
