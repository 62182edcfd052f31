import { parseGroupLaneLabel, type HaltRecord, type PipelineState, type RetryRecord } from "@sluice/wire";

/** A lane as it counts for the state of its pipeline. */
export interface LaneFacts {
  /** `main.s0.0` */
  readonly label: string;
  /** Who shall run it; null while nobody does. */
  readonly owner: string | null;
  /** Its record; null before there is one. */
  readonly seen: {
    readonly phase: "snap" | "live";
    readonly epoch: number;
    readonly retry: RetryRecord | null;
    readonly halt: HaltRecord | null;
  } | null;
  readonly lagSeconds: number | null;
}

/** A source shard as it counts for the state of its pipeline. */
export interface ShardFacts {
  readonly id: string;
  readonly owner: string | null;
  /** Its slots changed when the epoch counter stood here: up to this epoch it is not the shard that it is now. */
  readonly floor: number;
  readonly seen: {
    readonly phase: "connecting" | "copying" | "streaming";
    readonly epoch: number;
    readonly retry: RetryRecord | null;
    readonly halt: HaltRecord | null;
  } | null;
}

/** What the router watches, the source or a destination, as it counts for the state of its pipeline. */
export interface WatchFacts {
  readonly retry: RetryRecord | null;
  readonly halt: HaltRecord | null;
}

export interface StateFacts {
  /** Set while the pipeline is being stopped: whether that is done, and what it waits for. */
  readonly stop: { readonly isDone: boolean; readonly reason: string } | null;
  readonly previous: PipelineState | null;
  readonly shards: readonly ShardFacts[];
  readonly lanes: readonly LaneFacts[];
  readonly watches: readonly WatchFacts[];
}

export interface ObservedState {
  readonly state: PipelineState;
  /** For people; without figures that move, so that it changes only when something does. */
  readonly reason: string;
}

/** Every lane this close to the source: the pipeline is synchronizing … */
const SYNCHRONIZED_SECONDS = 3;
/** … and stays so until a lane is further behind than this. Heartbeats pass an idle source's pings on only every 5 s. */
const LEFT_BEHIND_SECONDS = 10;

/**
 * The state that a pipeline is seen in, by its records alone. The first line that holds decides:
 *
 *     stopped          it shall be, and nothing runs any more
 *     failed           a shard or lane halted, or the router's watch of a server
 *     retrying         a shard or lane waits for an endpoint, or the router does
 *     created          no shard has reported yet
 *     copying          a shard sends, or a lane receives, a full copy, or has to: its slots changed, or it is new
 *     synchronizing    every lane is within 3 s of the source (once there: within 10 s)
 *     catching-up      otherwise
 */
export function observeState(facts: StateFacts): ObservedState {
  const { stop } = facts;
  if (stop?.isDone === true) return { state: "stopped", reason: stop.reason };
  const observed = runningState(facts);
  return stop === null ? observed : { ...observed, reason: stop.reason };
}

function runningState({ shards, lanes, watches, previous }: StateFacts): ObservedState {
  const parts = [
    ...shards.map(({ id, seen }) => ({ what: `shard ${id}`, seen })),
    ...lanes.map(({ label, seen }) => ({ what: `lane ${label}`, seen })),
  ];
  for (const { what, seen } of parts) {
    if (seen?.halt) return { state: "failed", reason: `${what}: ${seen.halt.code} ${seen.halt.message}` };
  }
  // Nothing else shows what an operator can do about these.
  const halt = watches.find((watch) => watch.halt !== null)?.halt;
  if (halt) return { state: "failed", reason: `router: ${halt.code} ${halt.message}. ${halt.remedy}` };
  for (const { what, seen } of parts) {
    if (seen?.retry) return { state: "retrying", reason: `${what} waits for ${seen.retry.endpoint}: ${seen.retry.reason}` };
  }
  const retry = watches.find((watch) => watch.retry !== null)?.retry;
  if (retry) return { state: "retrying", reason: `router waits for ${retry.endpoint}: ${retry.reason}` };
  if (shards.length === 0) return { state: "created", reason: "waiting for the router to look at the source" };
  const missing = missingOwner(shards, lanes);
  if (shards.every(({ seen }) => seen === null)) {
    return { state: "created", reason: missing ?? "waiting for ingest to begin" };
  }
  const byId = new Map(shards.map((shard) => [shard.id, shard]));
  const isPastCopy = previous === "synchronizing" || previous === "catching-up";
  const isLaneCopying = ({ label, seen }: LaneFacts): boolean => {
    if (seen === null) return true;
    // A writer that has just taken the lane reports epoch 0 until it has read the mark.
    if (seen.epoch === 0) return !isPastCopy;
    return seen.phase === "snap" || seen.epoch < (byId.get(parseGroupLaneLabel(label).shard)?.seen?.epoch ?? 0);
  };
  if (shards.some((shard) => isShardCopying(shard, isPastCopy)) || lanes.some(isLaneCopying)) {
    return { state: "copying", reason: missing ?? "a full copy is under way" };
  }
  const limit = previous === "synchronizing" ? LEFT_BEHIND_SECONDS : SYNCHRONIZED_SECONDS;
  const isClose = (lane: LaneFacts): boolean => lane.lagSeconds !== null && lane.lagSeconds < limit;
  if (lanes.length > 0 && lanes.every(isClose))
    return { state: "synchronizing", reason: missing ?? "every lane is close to the source" };
  if (lanes.every((lane) => lane.lagSeconds === null || isClose(lane)) && previous === "synchronizing") {
    return { state: "synchronizing", reason: missing ?? "the lag is not known yet" };
  }
  return { state: "catching-up", reason: missing ?? "changes are being applied that the source made earlier" };
}

function isShardCopying({ seen, floor }: ShardFacts, isPastCopy: boolean): boolean {
  if (seen === null) return true;
  // An instance that has just taken the shard reports epoch 0 until it knows what it continues.
  if (seen.epoch === 0 && floor === 0) return !isPastCopy;
  return seen.phase === "copying" || seen.epoch <= floor;
}

function missingOwner(shards: readonly ShardFacts[], lanes: readonly LaneFacts[]): string | null {
  const shard = shards.find(({ owner }) => owner === null);
  if (shard !== undefined) return `shard ${shard.id} has no ingest instance`;
  const lane = lanes.find(({ owner }) => owner === null);
  return lane === undefined ? null : `lane ${lane.label} has no writer instance`;
}
