import { z } from "zod";
import { copyRecord, groupCopy } from "./group-copy.ts";
import { precheckReport } from "./precheck.ts";
import { endpointKind, haltRecord, retryRecord } from "./trouble-record.ts";

export * from "./group-copy.ts";
export * from "./spec-record.ts";
export * from "./trouble-record.ts";

/** The KV bucket that holds every record. */
export const RECORDS_BUCKET = "sluice";

const count = z.number().int().nonnegative();
/** Wall clock in ms since 1970: shown to people, never compared between machines. */
const at = z.number().nonnegative();

/** How long an endpoint has been tried in vain, by the clocks of the coordinators, which stand still while none is active. */
export const openWindow = z.object({
  /** `source s0`, `source` (before its shards are known), `destination main` */
  endpoint: z.string(),
  kind: endpointKind,
  /** Wall clock of the coordinator that saw the first failure. */
  since: at,
  elapsedMs: count,
  windowMs: count,
  /** The last error. */
  reason: z.string(),
});
export type OpenWindow = z.output<typeof openWindow>;

/** The retry windows of a pipeline that are open; written when one opens or closes, and every few seconds meanwhile. */
export const windowsRecord = z.object({
  /** Revision of the spec that they count for: every start begins them anew. */
  spec: count,
  windows: z.array(openWindow),
  /** How long nothing, or not all, was applied since every lane had last caught up with the source. */
  idleMs: count,
});
export type WindowsRecord = z.output<typeof windowsRecord>;

/** What happened to a pipeline. */
export const pipelineEvent = z.object({
  /** Grows by one with every event of the pipeline. */
  id: count,
  at,
  kind: z.enum(["state", "command", "precheck", "retry", "halt", "copy", "topology", "alarm"]),
  text: z.string(),
});
export type PipelineEvent = z.output<typeof pipelineEvent>;

/** The newest events of a pipeline, newest last. Written by the coordinator only. */
export const eventsRecord = z.object({
  events: z.array(pipelineEvent),
  /** The last one that was taken over from the topology, where the router and writers tell theirs. */
  topology: z.object({ at, text: z.string() }).nullable(),
});
export type EventsRecord = z.output<typeof eventsRecord>;

/** What the prechecks of a pipeline said last. */
export const precheckRecord = z.object({
  /** Revision of the spec that was checked; the pipeline goes by no other. */
  spec: count,
  report: precheckReport,
  /** Whose warnings the operator knows of; they hold for every later run. */
  ignore: z.array(z.object({ id: z.string(), reason: z.string() })),
  /** No new epoch may be one that a destination has already seen. */
  highestEpoch: count,
});
export type PrecheckRecord = z.output<typeof precheckRecord>;

/** What a destination's servers say of their memory. */
export const memoryRecord = z.object({
  /** By `host:port`: keys that it has evicted since it started, and since the pipeline first saw it. */
  servers: z.record(z.string(), z.object({ group: z.string(), runId: z.string(), evicted: count, lost: count })),
  /** Servers that evicted keys while the pipeline wrote there, `lost` of them. A full copy in a later epoch makes up for it. */
  alarms: z.array(z.object({ group: z.string(), server: z.string(), since: at, lost: count, epoch: count, text: z.string() })),
});
export type MemoryRecord = z.output<typeof memoryRecord>;

/** The states that a pipeline can be seen in. What leads from one to another is in the coordinator's table of transitions. */
export const pipelineState = z.enum([
  "created",
  "prechecking",
  "blocked",
  "ready",
  "copying",
  "catching-up",
  "synchronizing",
  "retrying",
  "paused",
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
  /** URL of the source as the spec had it when the router last saw that the shards are so; nothing is read from them for another one. */
  source: z.string().optional(),
  /** What happened to the source since the pipeline was created, newest last, for people. */
  events: z.array(z.object({ at, text: z.string() })),
});
export type TopologyRecord = z.output<typeof topologyRecord>;

/** Which primary of a destination cluster holds what, by node ids: what a later look is compared with. */
export const custodyRecord = z.object({
  /** The slots of each primary, as `SlotSet` writes them; those without any are left out. */
  owners: z.record(z.string(), z.string()),
  /** master_replid and run_id of each primary, those without slots included. */
  histories: z.record(z.string(), z.object({ replid: z.string(), run: z.string() })),
  /**
   * Slots that are on their way, and those that were until shortly before: `endedAt`. `arrived`: master_repl_offset of `to` when all had
   * arrived there.
   */
  moves: z.array(
    z.object({ slots: z.string(), from: z.string(), to: z.string(), endedAt: at.nullable(), arrived: count.nullable() }),
  ),
});
export type CustodyRecord = z.output<typeof custodyRecord>;

/** A destination of a pipeline as the router saw it last: where a writer begins; a redirect tells it more. */
export const destinationRecord = z.object({
  mode: z.enum(["standalone", "cluster"]),
  /** One for each primary; a standalone server has all slots. */
  nodes: z.array(z.object({ host: z.string(), port: count, slots: z.string() })).min(1),
  /** For a cluster whose primaries all tell their histories (Redis 4.0 and newer). */
  custody: custodyRecord.optional(),
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
  /** Up to which addition groups are served by the copy that the named epoch began with; absent: those that were there from the beginning. */
  joined: z.object({ epoch: count, number: count }).optional(),
  /** Copies for groups that were added later, oldest first. */
  copies: z.array(groupCopy).optional(),
  /** Number of the last of these that there was. */
  lastCopy: count.optional(),
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
  /** Number of the group's addition, absent for one that was there from the beginning: that of an earlier one says nothing of this. */
  addition: count.optional(),
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
  /** With `existing: keep`: keys that stood there before the first copy, entries of the running or last copy and commands that were passed over for them. */
  keptKeys: count.optional(),
  keptEntries: count.optional(),
  keptCommands: count.optional(),
  /** Entries of the running or last copy, and commands since, of which something was left out that the destination can't hold; absent: none. */
  unsupported: count.optional(),
  /** With `commands.exclude`: commands that were left out by their names, since the lane began; absent: none. */
  filteredCommands: count.optional(),
  retry: retryRecord.nullable(),
  halt: haltRecord.nullable(),
  at,
});
export type LaneRecord = z.output<typeof laneRecord>;

/**
 * Of a group with `existing: keep`, the slots of which the names that stood there are taken down in the destination. Written by its
 * writers before they put the first key into a slot: where the destination has lost the names, what stands there may be the pipeline's own.
 */
export const keptRecord = z.object({ slots: z.string(), at });
export type KeptRecord = z.output<typeof keptRecord>;

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
  /** The operator had it settled by force although names of kept keys are gone there: those that are left count. */
  isWithoutNames: z.boolean().optional(),
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

/** Any record, for who asks only whether it is there, and at which revision. */
export const unreadRecord = z.unknown();

/** Keys of the records. */
export const recordKey = {
  spec: (pipeline: string) => `pipeline.${pipeline}.spec`,
  state: (pipeline: string) => `pipeline.${pipeline}.state`,
  epoch: (pipeline: string) => `pipeline.${pipeline}.epoch`,
  topology: (pipeline: string) => `pipeline.${pipeline}.topology`,
  assignment: (pipeline: string) => `pipeline.${pipeline}.assignment`,
  checkpoint: (pipeline: string) => `pipeline.${pipeline}.checkpoint`,
  cutover: (pipeline: string) => `pipeline.${pipeline}.cutover`,
  precheck: (pipeline: string) => `pipeline.${pipeline}.precheck`,
  windows: (pipeline: string) => `pipeline.${pipeline}.windows`,
  events: (pipeline: string) => `pipeline.${pipeline}.events`,
  memory: (pipeline: string) => `pipeline.${pipeline}.memory`,
  destination: (pipeline: string, group: string) => `pipeline.${pipeline}.slots.${group}`,
  /** `watch`: `source`, or `destination.<group>`. */
  router: (pipeline: string, watch: string) => `pipeline.${pipeline}.router.${watch}`,
  shard: (pipeline: string, shard: string) => `pipeline.${pipeline}.shard.${shard}`,
  voidCopies: (pipeline: string, shard: string) => `pipeline.${pipeline}.void.${shard}`,
  kept: (pipeline: string, group: string) => `pipeline.${pipeline}.kept.${group}`,
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
