import { z } from "zod";
import { pipelineSchema } from "./pipeline.ts";

/** The KV bucket that holds every record. */
export const RECORDS_BUCKET = "sluice";

const count = z.number().int().nonnegative();
/** Wall clock in ms since 1970: shown to people, never compared between machines. */
const at = z.number().nonnegative();

/** `cut-over`: nothing of it runs any more, for good; what its destinations hold is settled. */
export const desiredState = z.enum(["running", "stopped", "cut-over"]);
export type DesiredState = z.output<typeof desiredState>;

/** What the operator wants of a pipeline. `pipeline` is kept as it was written (durations as text); its secrets are sealed. */
export const specRecord = z.object({
  pipeline: pipelineSchema,
  desired: desiredState,
  createdAt: at,
});
export type SpecRecord = z.output<typeof specRecord>;
/** The spec as it stands in its record, so that it can be written again: durations are text, defaults are not filled in. */
export type WrittenSpec = z.input<typeof specRecord>;
export const writtenSpec = z.custom<WrittenSpec>(
  (value) => specRecord.safeParse(value).success,
  "expected the spec of a pipeline",
);

/** Why something waits for an endpoint, and since when; the retry window counts from there. */
export const retryRecord = z.object({ endpoint: z.string(), since: at, reason: z.string() });
export type RetryRecord = z.output<typeof retryRecord>;

/** Why something stopped for good, with what an operator can do about it. */
export const haltRecord = z.object({ code: z.string(), message: z.string(), remedy: z.string(), at });
export type HaltRecord = z.output<typeof haltRecord>;

/** The states of `3-control-plane` that a pipeline can be seen in. */
export const pipelineState = z.enum([
  "created",
  "copying",
  "catching-up",
  "synchronizing",
  "retrying",
  "failed",
  "stopped",
  "cutting-over",
  "cut-over",
]);
export type PipelineState = z.output<typeof pipelineState>;

export const stateRecord = z.object({ state: pipelineState, since: at, reason: z.string() });
export type StateRecord = z.output<typeof stateRecord>;

/** The epoch counter of a pipeline; grows at every full sync of a shard, by compare-and-set only. */
export const epochRecord = z.object({ epoch: count });
export type EpochRecord = z.output<typeof epochRecord>;

/** A source shard: one primary and the slots it serves. */
export const shardTopology = z.object({
  /** `s0`, `s1`, …: allocated once and kept through failovers, matched again by the slots that the shard owns. */
  id: z.string(),
  /** Where ingest links to: the primary, or a replica of it where the pipeline says so. */
  host: z.string(),
  port: count,
  /** The slots it owns, as `SlotSet` writes them; all of them for a standalone server. */
  slots: z.string(),
  /** Only an epoch above this one may be continued: the shard's slots changed hands when the counter stood here. */
  floor: count,
});
export type ShardTopology = z.output<typeof shardTopology>;

/** The source of a pipeline: its shards, and into how many lanes the slot space is cut. Written by the router only. */
export const topologyRecord = z.object({
  mode: z.enum(["standalone", "cluster"]),
  /** Lanes over the whole slot space; a shard has one for each range that it owns slots in. */
  lanes: z.number().int().positive(),
  shards: z.array(shardTopology).min(1),
  /** What happened to the source since the pipeline was created, newest last, for people. */
  events: z.array(z.object({ at, text: z.string() })),
});
export type TopologyRecord = z.output<typeof topologyRecord>;

/** A destination of a pipeline as the router saw it last: where a writer begins; a redirect tells it more. */
export const destinationRecord = z.object({
  mode: z.enum(["standalone", "cluster"]),
  /** One for each primary; a standalone server has all slots. */
  nodes: z.array(z.object({ host: z.string(), port: count, slots: z.string() })).min(1),
  at,
});
export type DestinationRecord = z.output<typeof destinationRecord>;

/** Which instance runs what: shard id → ingest instance, `group.shard.lane` → writer instance. */
export const assignmentRecord = z.object({
  shards: z.record(z.string(), z.string()),
  lanes: z.record(z.string(), z.string()),
});
export type AssignmentRecord = z.output<typeof assignmentRecord>;

/** What keeps the router from watching a server of a pipeline; both null while nothing does. Written by the router only. */
export const routerRecord = z.object({
  /** Revision of the spec that the watch began with: of an earlier start it says nothing any more. */
  spec: count,
  retry: retryRecord.nullable(),
  halt: haltRecord.nullable(),
  at,
});
export type RouterRecord = z.output<typeof routerRecord>;

/** Progress of a full copy; the expected figures are the source's own estimate when it began, 0 where unknown. */
export const copyRecord = z.object({ keys: count, expectedKeys: count, bytes: count, expectedBytes: count });
export type CopyRecord = z.output<typeof copyRecord>;

/** A source shard, written by the ingest instance that holds its term. */
export const shardRecord = z.object({
  epoch: count,
  copy: count,
  /** Incarnation of ingest; grows by compare-and-set before every new link. */
  term: count,
  instance: z.string(),
  phase: z.enum(["connecting", "copying", "streaming"]),
  replid: z.string(),
  /** Everything up to here is stored in JetStream. */
  storedOffset: count,
  db: count,
  copied: copyRecord,
  /** Commands and bytes taken from the stream since this term began. */
  commands: count,
  bytes: count,
  retry: retryRecord.nullable(),
  halt: haltRecord.nullable(),
  at,
});
export type ShardRecord = z.output<typeof shardRecord>;

/** A lane of a writer group, written by the writer that runs it. */
export const laneRecord = z.object({
  instance: z.string(),
  epoch: count,
  copy: count,
  phase: z.enum(["snap", "live"]),
  /** The mark read back from the destination. */
  offset: count,
  sequence: count,
  /** Keys of the running or last copy that stand in the destination. */
  keys: count,
  /** Units and bytes applied by this instance since it took the lane, and transactions they needed. */
  units: count,
  bytes: count,
  transactions: count,
  /** Transactions that the destination refused because another writer had moved the mark. */
  stale: count,
  /** Keys that were taken from the source again, and errors that were passed over, since the lane began; absent: none. */
  repairedKeys: count.optional(),
  skippedErrors: count.optional(),
  retry: retryRecord.nullable(),
  halt: haltRecord.nullable(),
  at,
});
export type LaneRecord = z.output<typeof laneRecord>;

/** Where a restart resumes, gathered once a second by the coordinator. */
export const checkpointRecord = z.object({
  shards: z.record(z.string(), z.object({ replid: z.string(), offset: count, db: count, epoch: count })),
  lanes: z.record(z.string(), z.object({ sequence: count, offset: count, epoch: count })),
  at,
});
export type CheckpointRecord = z.output<typeof checkpointRecord>;

/** How far the expiries of one destination are settled. */
export const settlingRecord = z.object({
  /** Expiries that MIGRATE made even are odd again, so that even ones are settled from here on. Only clusters need it. */
  isRemarked: z.boolean(),
  /** Which slots were together on a node then; null before. */
  slots: z.string().nullable(),
  isDone: z.boolean(),
  /** Keys that the present walk looked at, keys that the servers hold, and expiries (of keys and of fields) that were set right. */
  looked: count,
  expected: count,
  settled: count,
  retry: retryRecord.nullable(),
  halt: haltRecord.nullable(),
});
export type SettlingRecord = z.output<typeof settlingRecord>;

/**
 * A cut-over, from the operator's wish to its end. Written by the coordinator.
 *
 *     draining     the pipeline runs on; waited for: the source's clients stop writing, and every lane has applied everything
 *     stopping     ingest stops, lanes apply what is stored
 *     settling     nothing of the pipeline runs; the destinations' expiries lose their grace
 *     done         the destinations stand by themselves
 *     cancelled    the operator started or stopped the pipeline before anything was settled
 */
export const cutoverRecord = z.object({
  phase: z.enum(["draining", "stopping", "settling", "done", "cancelled"]),
  /** Settles what is there, whatever the source does and whether it can be reached or not. */
  isForced: z.boolean(),
  reason: z.string(),
  since: at,
  /** By shard, what the source had done when everything was applied: calls of commands that write, and its offset in its history. */
  drainedAt: z.record(z.string(), z.object({ calls: count, offset: count, replid: z.string().default("") })),
  /** By lane, what a forced one gave up: bytes that are stored and not applied; null where a copy is incomplete. */
  unapplied: z.record(z.string(), count.nullable()).optional(),
  /** By group. */
  groups: z.record(z.string(), settlingRecord),
});
export type CutoverRecord = z.output<typeof cutoverRecord>;

/** One instance of a service. It is alive while this record's revision grows. */
export const memberRecord = z.object({ service: z.string(), instance: z.string(), pid: count, startedAt: at });
export type MemberRecord = z.output<typeof memberRecord>;

/** Who holds a lease. It is held while this record's revision grows. */
export const leaseRecord = z.object({ holder: z.string() });
export type LeaseRecord = z.output<typeof leaseRecord>;

/** Keys of the records. */
export const recordKey = {
  spec: (pipeline: string) => `pipeline.${pipeline}.spec`,
  state: (pipeline: string) => `pipeline.${pipeline}.state`,
  epoch: (pipeline: string) => `pipeline.${pipeline}.epoch`,
  topology: (pipeline: string) => `pipeline.${pipeline}.topology`,
  assignment: (pipeline: string) => `pipeline.${pipeline}.assignment`,
  checkpoint: (pipeline: string) => `pipeline.${pipeline}.checkpoint`,
  cutover: (pipeline: string) => `pipeline.${pipeline}.cutover`,
  destination: (pipeline: string, group: string) => `pipeline.${pipeline}.slots.${group}`,
  /** `watch`: `source`, or `destination.<group>`. */
  router: (pipeline: string, watch: string) => `pipeline.${pipeline}.router.${watch}`,
  shard: (pipeline: string, shard: string) => `pipeline.${pipeline}.shard.${shard}`,
  lane: (pipeline: string, label: string) => `pipeline.${pipeline}.lane.${label}`,
  member: (service: string, instance: string) => `member.${service}.${instance}`,
  lease: (what: string) => `lease.${what}`,
} as const;

/** Filters for watching many records at once. */
export const recordFilter = {
  specs: "pipeline.*.spec",
  assignments: "pipeline.*.assignment",
  ofPipeline: (pipeline: string) => `pipeline.${pipeline}.>`,
  pipelines: "pipeline.>",
  members: "member.>",
  leases: "lease.>",
} as const;
