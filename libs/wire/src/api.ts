import { z } from "zod";
import {
  checkpointRecord,
  copyRecord,
  cutoverRecord,
  desiredState,
  haltRecord,
  pipelineState,
  retryRecord,
} from "./records.ts";

const count = z.number().int().nonnegative();

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
  /** Bytes of the source's stream that the destination does not hold yet; null before the copy is done. */
  lagBytes: count.nullable(),
  /** Age of the newest sample of the source's offset that is applied here; null before there is one. */
  lagSeconds: z.number().nonnegative().nullable(),
  retry: retryRecord.nullable(),
  halt: haltRecord.nullable(),
});
export type LaneStatus = z.output<typeof laneStatus>;

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
  /** What happened to the pipeline's servers, newest last. */
  events: z.array(z.object({ at: z.number(), text: z.string() })),
  shards: z.array(shardStatus),
  lanes: z.array(laneStatus),
  checkpoint: checkpointRecord.nullable(),
  /** Null where none was ever asked for. */
  cutover: cutoverRecord.nullable(),
});
export type PipelineStatus = z.output<typeof pipelineStatus>;

/** Answer of `GET /api/v1/pipelines`. */
export const pipelineList = z.object({ pipelines: z.array(z.object({ name: z.string(), state: pipelineState })) });
export type PipelineList = z.output<typeof pipelineList>;

/** Answer to whatever was refused. */
export const apiError = z.object({ error: z.object({ code: z.string(), message: z.string(), remedy: z.string() }) });
export type ApiError = z.output<typeof apiError>;

/** Address that the API listens on unless told otherwise. */
export const DEFAULT_API_LISTEN = "127.0.0.1:7380";
