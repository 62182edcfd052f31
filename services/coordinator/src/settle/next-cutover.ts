import type { CutoverRecord, DesiredState } from "@sluice/wire";
import type { StopState } from "../lifecycle/stop-gate.ts";
import { hasWritten, QUIET_MS, type WriteSample } from "./source-writes.ts";

/** A lane as it counts for a cut-over. */
export interface CutoverLane {
  readonly label: string;
  readonly shardId: string;
  /** Live in the epoch of its shard. */
  readonly isLive: boolean;
  readonly offset: number;
  /** The history of the source that its offset counts in, as ingest streams it now; null while it does not. */
  readonly replid: string | null;
}

export interface CutoverFacts {
  readonly record: CutoverRecord;
  /** Why the pipeline does not run as it should; null while it does. */
  readonly trouble: string | null;
  readonly lanes: readonly CutoverLane[];
  readonly source: {
    /** Since a client last wrote; null while the source can't be asked, for the reason in `failure`. */
    readonly quietMs: number | null;
    readonly failure: string | null;
    /** For how long in a row it was asked in vain. */
    readonly failingMs: number;
    /** The newest of each shard. */
    readonly samples: ReadonlyMap<string, WriteSample>;
    /** Those that were the newest when the clients had stopped; null while they have not. What the source does by itself goes on. */
    readonly quietSamples: ReadonlyMap<string, WriteSample> | null;
    /** The samples were asked for after the pipeline had stopped. */
    readonly isAskedBehindStop: boolean;
  };
  /** Whether the pipeline has stopped; null while it is not asked to. */
  readonly stop: StopState | null;
  /** No instance has a lane or a shard of the pipeline any more. */
  readonly isReleased: boolean;
  /** Groups of the pipeline. */
  readonly groups: readonly string[];
}

export interface CutoverStep {
  readonly phase: CutoverRecord["phase"];
  readonly reason: string;
  readonly drainedAt?: CutoverRecord["drainedAt"];
  readonly unapplied?: StopState["unapplied"];
}

/** A source that fails over is away for less. Only a pipeline that runs follows it to where it is then. */
const AWAY_MS = 30_000;
/** More lanes are counted. */
const NAMED_LANES = 3;

/** What the operator is to want of a pipeline in a phase of its cut-over; null where that is not for the cut-over to say. */
export function desiredIn(phase: CutoverRecord["phase"]): DesiredState | null {
  if (phase === "draining") return "running";
  if (phase === "stopping") return "stopped";
  return phase === "cancelled" ? null : "cut-over";
}

/** Where a cut-over stands by the facts; the same phase and reason where nothing has changed. */
export function nextCutover(facts: CutoverFacts): CutoverStep {
  const { record } = facts;
  if (record.phase === "draining") return draining(facts);
  if (record.phase === "stopping") return stopping(facts);
  if (record.phase === "settling") return settling(facts);
  return { phase: record.phase, reason: record.reason };
}

function draining({ trouble, lanes, source }: CutoverFacts): CutoverStep {
  const wait = (reason: string): CutoverStep => ({ phase: "draining", reason });
  if (trouble !== null) return wait(`waits: ${trouble}`);
  if (source.quietMs === null)
    return wait(`the source can't be asked whether its clients still write: ${source.failure ?? ""}`);
  const targets = source.quietMs < QUIET_MS ? null : source.quietSamples;
  if (targets === null) return wait("waits until the clients of the source stop writing");
  // Offsets of two histories say nothing of each other.
  const elsewhere = lanes.find(({ shardId, replid }) => targets.has(shardId) && replid !== targets.get(shardId)?.replid);
  if (elsewhere !== undefined)
    return wait(`waits until shard ${elsewhere.shardId} is read from the history that the source is in`);
  const behind = lanes.find(({ shardId, isLive, offset }) => !isLive || offset < (targets.get(shardId)?.offset ?? Infinity));
  if (lanes.length === 0 || behind !== undefined) return wait("waits until everything that the source has written is applied");
  return { phase: "stopping", reason: "everything is applied; stopping", drainedAt: Object.fromEntries(targets) };
}

function stopping({ record, stop, source }: CutoverFacts): CutoverStep {
  const wait = (reason: string): CutoverStep => ({ phase: "stopping", reason });
  if (stop?.isDone !== true) return wait(stop?.reason ?? "stopping");
  const { unapplied } = stop;
  if (record.isForced) return { phase: "settling", reason: `forced: settling what is there${lossOf(unapplied)}`, unapplied };
  // A lane that halted meanwhile.
  if (Object.keys(unapplied).length > 0) return { phase: "draining", reason: `it runs on${lossOf(unapplied)}` };
  if (source.quietMs === null && source.failingMs >= AWAY_MS) {
    return { phase: "draining", reason: "the source can't be asked since the pipeline stopped: it runs on to find it" };
  }
  if (!source.isAskedBehindStop || source.quietMs === null) {
    return wait(
      `waits for the source to say that its clients have not written meanwhile${source.failure === null ? "" : `: ${source.failure}`}`,
    );
  }
  for (const [id, before] of Object.entries(record.drainedAt)) {
    const now = source.samples.get(id);
    if (now?.replid !== before.replid) {
      return { phase: "draining", reason: "the source failed over or restarted while the pipeline stopped: it runs on" };
    }
    if (hasWritten(before, now)) {
      return {
        phase: "draining",
        reason: "clients of the source wrote while the pipeline stopped: it runs on until they stop",
      };
    }
  }
  return { phase: "settling", reason: "the destinations hold what the source holds; settling their expiries" };
}

function settling({ record, isReleased, groups }: CutoverFacts): CutoverStep {
  if (!isReleased) return { phase: "settling", reason: "waits for the pipeline's instances to let go" };
  const open = groups.filter((group) => record.groups[group]?.isDone !== true);
  const loss = lossOf(record.unapplied ?? {});
  if (open.length === 0) return { phase: "done", reason: `the destinations stand by themselves${loss}` };
  return { phase: "settling", reason: `settling the expiries of ${open.join(", ")}${loss}` };
}

function lossOfLane(bytes: number | null): string {
  if (bytes === null) return "its copy is incomplete";
  return bytes === 0 ? "it halted behind a command that failed" : `${bytes} bytes`;
}

/** What the destinations lack, for people. */
function lossOf(unapplied: StopState["unapplied"]): string {
  const lanes = Object.entries(unapplied).toSorted(([a], [b]) => (a < b ? -1 : 1));
  if (lanes.length === 0) return "";
  const named = lanes.slice(0, NAMED_LANES).map(([label, bytes]) => `lane ${label} (${lossOfLane(bytes)})`);
  const others = lanes.length > NAMED_LANES ? ` and ${lanes.length - NAMED_LANES} others` : "";
  return `; not applied: ${named.join(", ")}${others}`;
}
