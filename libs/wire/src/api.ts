import { z } from "zod";
import {
  checkpointRecord,
  copyRecord,
  cutoverRecord,
  desiredState,
  endpointKind,
  haltRecord,
  pipelineState,
  retryRecord,
} from "./records.ts";
import { precheckLevel } from "./precheck.ts";

const count = z.number().int().nonnegative();

/** What is measured over the last seconds; null before there is anything to measure. */
const rate = z.number().nonnegative().nullable();

/** A source shard as the API shows it. */
export const shardStatus = z.object({
  id: z.string(),
  instance: z.string().nullable(),
  phase: z.enum(["connecting", "copying", "streaming"]),
  epoch: count,
  term: count,
  /** The source's own offset, sampled once a second; null while it cannot be asked. */
  sourceOffset: count.nullable(),
  storedOffset: count,
  copied: copyRecord,
  commands: count,
  bytes: count,
  /** Keys of a copy, and bytes of copy and stream, that ingest reads per second. */
  keysPerSecond: rate,
  bytesPerSecond: rate,
  retry: retryRecord.nullable(),
  halt: haltRecord.nullable(),
});
export type ShardStatus = z.output<typeof shardStatus>;

/** A lane of a writer group as the API shows it. */
export const laneStatus = z.object({
  group: z.string(),
  shard: z.string(),
  lane: count,
  instance: z.string().nullable(),
  phase: z.enum(["snap", "live"]),
  epoch: count,
  /** 1 for the copy that the epoch began with; above that for one that was made for groups that were added later. */
  copy: count,
  appliedOffset: count,
  sequence: count,
  keys: count,
  units: count,
  bytes: count,
  transactions: count,
  stale: count,
  /** Keys that were taken from the source again because a command on them had failed, and errors that were passed over. */
  repairedKeys: count,
  skippedErrors: count,
  /** Keys of the copy, and commands, of which something was left out that the destination can't hold, as `unsupported: skip` says. */
  unsupported: count,
  /** With `existing: keep`: keys that stood there before the first copy; entries of the copy, and commands, that were passed over for them. */
  keptKeys: count,
  keptEntries: count,
  keptCommands: count,
  /** Commands that were left out by their names, see `commands.exclude`; not counted anew at a restart. */
  filteredCommands: count,
  /** Bytes of the source's stream that the destination does not hold yet; null before the copy is done. */
  lagBytes: count.nullable(),
  /** Age of the newest sample of the source's offset that is applied here; null before there is one. */
  lagSeconds: z.number().nonnegative().nullable(),
  retry: retryRecord.nullable(),
  halt: haltRecord.nullable(),
});
export type LaneStatus = z.output<typeof laneStatus>;

const progressShape = {
  /** Keys of the present copy that stand in the destination, and those that the source said it had; 0 where unknown. */
  keys: count,
  expectedKeys: count,
  /** True when the copy is applied: all lanes go on with changes. */
  isCopied: z.boolean(),
  keysPerSecond: rate,
  unitsPerSecond: rate,
  bytesPerSecond: rate,
  /** Of the slowest lane; null before its copy is done. */
  lagBytes: count.nullable(),
  lagSeconds: z.number().nonnegative().nullable(),
  /** Until the copy, or catching up, is done at the present rate; 0 when both are, null where that can't be told. */
  etaSeconds: z.number().nonnegative().nullable(),
};

/** What a writer group has of one source shard. */
export const feedStatus = z.object({ shard: z.string(), ...progressShape });
export type FeedStatus = z.output<typeof feedStatus>;

/** A writer group, by all its lanes together. */
export const groupStatus = z.object({
  group: z.string(),
  ...progressShape,
  /** Keys that its servers have evicted since the pipeline looked at them first; null before it did. */
  evictedKeys: count.nullable(),
  /** Keys that stood there before the first copy and are kept; null where none are, by `existing`, or their names are not taken down yet. */
  keptKeys: count.nullable(),
  /** Keys of the source that the present copy passed over for them, and commands since; these are not counted anew at a restart. */
  keptEntries: count,
  keptCommands: count,
  /** Commands that were left out by their names, on all lanes; null where the pipeline names none. */
  filteredCommands: count.nullable(),
  shards: z.array(feedStatus),
});
export type GroupStatus = z.output<typeof groupStatus>;

/** An endpoint that is waited for. */
export const waitStatus = z.object({
  /** As messages name it: `source s0`, `destination main`, `bus`. */
  endpoint: z.string(),
  kind: endpointKind,
  reason: z.string(),
  /** Wall clock at the first failure, for people. */
  since: z.number(),
  /** Of the retry window; at 0 the pipeline fails. */
  secondsLeft: z.number().nonnegative(),
});
export type WaitStatus = z.output<typeof waitStatus>;

export const alarmStatus = z.object({
  id: z.enum(["evictions"]),
  /** Writer group and server that it is about. */
  group: z.string(),
  server: z.string(),
  since: z.number(),
  /** Keys that it has evicted while the pipeline wrote there. */
  lost: count,
  text: z.string(),
});
export type AlarmStatus = z.output<typeof alarmStatus>;

/** Answer of `GET /api/v1/pipelines/<name>`. */
export const pipelineStatus = z.object({
  name: z.string(),
  state: pipelineState,
  desired: desiredState,
  since: z.number(),
  reason: z.string(),
  /** Wall clock of the newest sample of every source shard; 0 before there is one. */
  sampledAt: z.number(),
  /** True when every lane had applied, by the newest positions, all that the source had written at `sampledAt`, a few seconds ago at most. */
  drained: z.boolean(),
  expiryGraceMs: count,
  /** `limitBytes`: what it may hold by the pipeline's own limit or the account's; null where there is none but the disk. */
  stream: z.object({ messages: count, bytes: count, limitBytes: count.nullable() }),
  /** What happened lately, newest last; all that is kept is at `/events`. */
  events: z.array(z.object({ at: z.number(), text: z.string() })),
  shards: z.array(shardStatus),
  lanes: z.array(laneStatus),
  groups: z.array(groupStatus),
  /** Endpoints that are waited for now, and how long still. */
  waits: z.array(waitStatus),
  /** What needs a person although the pipeline goes on. */
  alarms: z.array(alarmStatus),
  /** What the last prechecks came to; null where none ran. */
  precheck: z.object({ at: z.number(), verdict: precheckLevel }).nullable(),
  checkpoint: checkpointRecord.nullable(),
  /** Null where none was ever asked for. */
  cutover: cutoverRecord.nullable(),
});
export type PipelineStatus = z.output<typeof pipelineStatus>;

/** Answer of `GET /api/v1/pipelines`. */
export const pipelineList = z.object({
  pipelines: z.array(
    z.object({ name: z.string(), state: pipelineState, desired: desiredState, since: z.number(), reason: z.string() }),
  ),
});
export type PipelineList = z.output<typeof pipelineList>;

/** Answer to whatever was refused. */
export const apiError = z.object({ error: z.object({ code: z.string(), message: z.string(), remedy: z.string() }) });
export type ApiError = z.output<typeof apiError>;

/** Address that the API listens on unless told otherwise. */
export const DEFAULT_API_LISTEN = "127.0.0.1:7380";
