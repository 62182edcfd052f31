import { codes } from "@sluice/runtime";
import {
  parseGroupLaneLabel,
  type DesiredState,
  type GroupCopy,
  type HaltRecord,
  type PipelineState,
  type RetryRecord,
} from "@sluice/wire";

/** By which instance a record was written, and at which revision. */
export interface Written {
  readonly by: string;
  readonly revision: number;
}

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
    /** 1 for the copy that the epoch began with. */
    readonly copy?: number;
    readonly retry: RetryRecord | null;
    readonly halt: HaltRecord | null;
    readonly written?: Written;
    readonly keptKeys?: number | undefined;
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
    /** Copies for groups that were added later. */
    readonly copies?: readonly GroupCopy[] | undefined;
    readonly written?: Written;
  } | null;
}

/** What the router watches, the source or a destination, as it counts for the state of its pipeline. */
export interface WatchFacts {
  readonly retry: RetryRecord | null;
  readonly halt: HaltRecord | null;
}

/** A cut-over as it counts for the state of its pipeline. */
export interface CutoverView {
  readonly phase: "draining" | "stopping" | "settling" | "done";
  readonly reason: string;
  /** What one of its destinations halted for. */
  readonly halt: HaltRecord | null;
  readonly retry: RetryRecord | null;
}

/** The stream where it has no room left. */
export interface FullStream {
  readonly bytes: number;
  readonly limitBytes: number;
  /** A copy is under way that is not stored to its end. */
  readonly isCopyCut: boolean;
  /** What it must hold for that copy; null where nobody can tell. */
  readonly neededBytes: number | null;
}

/** What the prechecks said of the pipeline as it is now. */
export interface PrecheckView {
  readonly isPassed: boolean;
  /** Of the first that failed. */
  readonly reason: string;
}

export interface StateFacts {
  readonly desired: DesiredState;
  /** Null while they have not said anything of the pipeline as it is now. */
  readonly precheck: PrecheckView | null;
  /** Why it is to be `failed`. */
  readonly failure: HaltRecord | null;
  /** No instance has a lane of it. */
  readonly isReleased: boolean;
  /** Null while it takes batches. */
  readonly fullStream: FullStream | null;
  /** Null without one, and when it was taken back. */
  readonly cutover: CutoverView | null;
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
/** From these on a copy is known to be over. */
const PAST_COPY: ReadonlySet<PipelineState> = new Set(["synchronizing", "catching-up", "cutting-over", "paused"]);

/**
 * The state that a pipeline is seen in, by its records alone. The first line that holds decides:
 *
 *     cut-over         the operator asked for it, and the destinations stand by themselves
 *     failed           a destination can't be settled; or, while the pipeline runs on, as below
 *     cutting-over     the operator asked for it
 *     created          nobody asked for its start
 *     prechecking      a start was asked for, and its prechecks have not ended
 *     blocked          one of them forbids it
 *     ready            none does; it is about to run
 *     failed           a retry window has closed
 *     stopped          it shall be, and nothing runs any more
 *     paused           it shall be, and no lane runs; unless one of the next lines holds for the source
 *     failed           a shard or lane halted, or the router's watch of a server
 *                      a copy has filled the stream, which nothing of it may leave before it is complete
 *     retrying         a shard or lane waits for an endpoint, or the router does; the stream is full
 *     ready            no shard has reported yet
 *     copying          a shard sends, or a lane receives, a full copy, or has to: its slots changed, or it is new
 *     synchronizing    every lane is within 3 s of the source (once there: within 10 s)
 *     catching-up      otherwise
 *
 * How a pipeline gets from the state before to this one is `stepsTo`.
 */
export function observeState(facts: StateFacts): ObservedState {
  const { stop, cutover, desired } = facts;
  if (cutover !== null) return cuttingOver(cutover, facts);
  if (desired === "created") return { state: "created", reason: "kept; it waits for its start" };
  if (desired === "checking") return checking(facts);
  if (desired === "failed") return failedFor(facts);
  if (stop?.isDone === true) return { state: "stopped", reason: stop.reason };
  if (desired === "paused") return paused(facts);
  const observed = runningState(facts);
  if (stop === null) return observed;
  const waits = observed.state === "retrying" ? `; ${observed.reason}` : "";
  return { ...observed, reason: stop.reason + waits };
}

function failedFor({ failure }: StateFacts): ObservedState {
  return { state: "failed", reason: failure === null ? "" : toldHalt(failure) };
}

function checking({ precheck }: StateFacts): ObservedState {
  if (precheck === null) return { state: "prechecking", reason: "its prechecks run" };
  if (!precheck.isPassed) return { state: "blocked", reason: precheck.reason };
  return { state: "ready", reason: "every precheck allows the start" };
}

/** What the lanes said last is of no account: they are being taken back, or are. */
function paused(facts: StateFacts): ObservedState {
  if (!facts.isReleased) return { ...runningState(facts), reason: "pausing: lanes end what they are at" };
  const source = runningState({ ...facts, lanes: [] });
  if (source.state === "failed") return source;
  const waits = source.state === "retrying" ? `; ${source.reason}` : "";
  return { state: "paused", reason: `paused by the operator; what the source sends is stored meanwhile${waits}` };
}

function toldHalt({ code, message, remedy }: HaltRecord): string {
  return `${code} ${message}. ${remedy}`;
}

function cuttingOver({ phase, reason, halt, retry }: CutoverView, facts: StateFacts): ObservedState {
  if (phase === "done") return { state: "cut-over", reason };
  if (halt !== null) return { state: "failed", reason: `cutting over: ${toldHalt(halt)}` };
  if (phase === "draining" && facts.desired === "failed") return failedFor(facts);
  const running = phase === "draining" ? runningState(facts) : null;
  if (running?.state === "failed") return running;
  const waits = retry === null ? "" : `; waits for ${retry.endpoint}: ${retry.reason}`;
  return { state: "cutting-over", reason: `${reason}${waits}` };
}

/** Why a pipeline that shall run does not as it should; null while it does. */
export function troubleOf(facts: StateFacts): string | null {
  const { state, reason } = runningState(facts);
  if (state !== "synchronizing" && state !== "catching-up") return `${state}: ${reason}`;
  return missingOwner(facts.shards, facts.lanes);
}

function runningState({ shards, lanes, watches, previous, fullStream }: StateFacts): ObservedState {
  const parts = [
    ...shards.map(({ id, seen }) => ({ what: `shard ${id}`, seen })),
    ...lanes.map(({ label, seen }) => ({ what: `lane ${label}`, seen })),
  ];
  for (const { what, seen } of parts) {
    if (seen?.halt) return { state: "failed", reason: `${what}: ${seen.halt.code} ${seen.halt.message}` };
  }
  // Nothing else shows what an operator can do about these.
  const halt = watches.find((watch) => watch.halt !== null)?.halt;
  if (halt) return { state: "failed", reason: `router: ${toldHalt(halt)}` };
  if (fullStream?.isCopyCut === true) return { state: "failed", reason: copyTooLarge(fullStream) };
  if (fullStream !== null)
    return { state: "retrying", reason: `waits for bus: BUS-005 the stream is full: ${sizeOf(fullStream)}` };
  for (const { what, seen } of parts) {
    // Of a group that is copied beside the others.
    if (seen?.retry?.isTurn === true && what.startsWith("lane ")) continue;
    if (seen?.retry) return { state: "retrying", reason: `${what} waits for ${seen.retry.endpoint}: ${seen.retry.reason}` };
  }
  const retry = watches.find((watch) => watch.retry !== null)?.retry;
  if (retry) return { state: "retrying", reason: `router waits for ${retry.endpoint}: ${retry.reason}` };
  if (shards.length === 0) return { state: "ready", reason: "waiting for the router to look at the source" };
  const missing = missingOwner(shards, lanes);
  if (shards.every(({ seen }) => seen === null)) {
    return { state: "ready", reason: missing ?? "waiting for ingest to begin" };
  }
  const byId = new Map(shards.map((shard) => [shard.id, shard]));
  const isPastCopy = previous !== null && PAST_COPY.has(previous);
  const isLaneCopying = ({ label, seen }: LaneFacts): boolean => {
    if (seen === null) return true;
    // A writer that has just taken the lane reports epoch 0 until it has read the mark.
    if (seen.epoch === 0) return !isPastCopy;
    return seen.phase === "snap" || seen.epoch < (byId.get(parseGroupLaneLabel(label).shard)?.seen?.epoch ?? 0);
  };
  if (shards.some((shard) => isShardCopying(shard, isPastCopy)) || lanes.some(isLaneCopying)) {
    const isWhole = shards.some((shard) => isShardCopying(shard, isPastCopy));
    const reason = copyUnderWay(isWhole ? [] : lanes.filter(isLaneCopying), lanes);
    return { state: "copying", reason: missing ?? reason };
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

function groupsOf(lanes: readonly LaneFacts[]): string[] {
  return [...new Set(lanes.map(({ label }) => parseGroupLaneLabel(label).group))];
}

/** `copying`: the lanes that wait for a copy or write one, none where that is not their groups' alone. */
function copyUnderWay(copying: readonly LaneFacts[], lanes: readonly LaneFacts[]): string {
  const waiting = lanes.find(({ seen }) => seen?.retry?.isTurn === true)?.seen?.retry ?? null;
  const why = waiting === null ? "" : `: ${waiting.reason}`;
  const groups = groupsOf(copying);
  if (groups.length === 0 || groups.length === groupsOf(lanes).length) return `a full copy is under way${why}`;
  return `a full copy for ${groups.join(", ")} is under way, and the other groups go on${why}`;
}

/** Without figures that move: the reason changes only when something does. */
function copyTooLarge(stream: FullStream): string {
  const needed = stream.neededBytes === null ? "more" : `about ${roundUp(stream.neededBytes)}`;
  return `BUS-006 the stream is full before the copy is complete: ${sizeOf(stream)}; it needs ${needed}. ${codes["BUS-006"].remedy}`;
}

function sizeOf({ limitBytes }: FullStream): string {
  return `it may hold ${roundUp(limitBytes)}`;
}

/** Two figures are enough, and do not move all the time. */
function roundUp(bytes: number): string {
  const unit = [1e12, 1e9, 1e6].find((size) => bytes >= size) ?? 1e6;
  const value = bytes / unit;
  const step = value >= 10 ? 10 ** (Math.floor(Math.log10(value)) - 1) : 0.1;
  const name = unit === 1e12 ? "TB" : unit === 1e9 ? "GB" : "MB";
  return `${Number((Math.ceil(value / step - 1e-9) * step).toFixed(1))} ${name}`;
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
