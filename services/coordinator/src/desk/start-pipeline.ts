import { isDeepStrictEqual } from "node:util";
import { Halt, openSecret, describeFault } from "@sluice/runtime";
import {
  epochRecord,
  expiryGraceMs,
  pipelineSchema,
  precheckRecord,
  recordKey,
  shardRecord,
  stateRecord,
  topologyRecord,
  windowsRecord,
  writtenSpec,
  type Pipeline,
  type PrecheckRequest,
  type ShardRecord,
  type WrittenSpec,
} from "@sluice/wire";
import { openEndpoint } from "../endpoint/open-endpoint.ts";
import { isIdle } from "../lifecycle/window-keeper.ts";
import { cancelCutover } from "../settle/request-cutover.ts";
import type { DeskDeps } from "./desk-deps.ts";
import type { PostedPipeline } from "./posted-pipeline.ts";
import { Refusal } from "./refusal.ts";
import { isTooLong, outlookOf, type Outlook } from "./resume-outcome.ts";
import { sealed, unsealed } from "./seal-pipeline.ts";
import { sourceHistories, type SourceHistory } from "./source-histories.ts";
import {
  ATTEMPTS,
  changedInBetween,
  changeSpec,
  isPipelineName,
  noSuchPipeline,
  notNow,
  started,
  type Commanded,
} from "./spec-change.ts";
import { keepWaivers } from "./waivers.ts";

export interface ResumeOptions {
  /** Only says what would happen. */
  readonly dryRun?: boolean;
  /** Everything is copied anew, whatever could be continued. */
  readonly copy?: boolean;
  readonly ignore?: NonNullable<PrecheckRequest["ignore"]>;
}

/** A pipeline that shall run again, and what it will do then. */
export interface Resumed extends Commanded, Outlook {}

/**
 * Makes a pipeline run that is kept, blocked, stopped, paused or failed: one that never ran, or was edited since, after its prechecks. One
 * that runs and has parts that halted is begun anew; one whose prechecks run is left alone.
 * Throws `Refusal` 404 PIP-002, 409 PIP-009, PIP-003; `Retryable` BUS-001.
 */
export async function startPipeline(name: string, deps: DeskDeps, { copy, ignore }: ResumeOptions = {}): Promise<Commanded> {
  if (!isPipelineName(name)) throw noSuchPipeline(name);
  if ((await deps.records.get(recordKey.spec(name), writtenSpec)) === null) throw noSuchPipeline(name);
  if (ignore !== undefined) await keepWaivers(name, ignore, deps);
  return changeSpec(
    name,
    deps,
    copy === true ? "start asked for, with a full copy" : "start asked for",
    async (spec, revision) => specToStart(name, spec, revision, deps, { copy: copy === true, posted: null }),
  );
}

interface StartedAs {
  readonly copy: boolean;
  /** Takes the place of the pipeline as it was written; null: it stays. */
  readonly posted: PostedPipeline | null;
}

/**
 * The spec with which a pipeline begins to run, however its start was asked for; null where it is under way as it is. Takes a cut-over back, and
 * asks for copies where it has been idle for longer than expiries bear. Throws `Refusal` 409 PIP-009, SRC-019; `Retryable` BUS-001.
 */
export async function specToStart(
  name: string,
  spec: WrittenSpec,
  revision: number,
  deps: DeskDeps,
  { copy, posted }: StartedAs,
): Promise<WrittenSpec | null> {
  if (spec.desired === "cut-over") throw notNow(name, spec, "", "");
  await cancelCutover(name, deps.records);
  const isSame = posted === null || isWrittenSo(posted, spec, deps);
  if (!copy && isSame && (await isUnderWay(name, spec, revision, deps))) return null;
  const pipeline = posted === null ? spec.pipeline : sealed(posted.written, deps.secretKey);
  if (copy || (await hasBeenIdle(name, spec, deps))) {
    const why = copy ? "a full copy was asked for" : "it applied nothing for too long";
    refuseCopyless(name, pipelineSchema.parse(pipeline), why);
    await requestCopies(name, deps);
  }
  return started({ ...spec, pipeline });
}

/** Whether it says the same, secrets included. Each sealing of a secret is another text. */
function isWrittenSo({ pipeline }: PostedPipeline, spec: WrittenSpec, { secretKey }: DeskDeps): boolean {
  try {
    return isDeepStrictEqual(pipelineSchema.parse(unsealed(spec.pipeline, secretKey)), pipeline);
  } catch (cause) {
    // Sealed with a key that is no more: what was posted can be used.
    if (cause instanceof Halt || cause instanceof Refusal) return false;
    throw cause;
  }
}

/**
 * As `startPipeline`, for one that is paused or has failed; says before anything begins whether it will continue or copy anew.
 * With `dryRun` it only says so.
 */
export async function resumePipeline(name: string, deps: DeskDeps, options: ResumeOptions = {}): Promise<Resumed> {
  if (!isPipelineName(name)) throw noSuchPipeline(name);
  const spec = await deps.records.get(recordKey.spec(name), writtenSpec);
  if (spec === null) throw noSuchPipeline(name);
  const pipeline = pipelineSchema.parse(spec.value.pipeline);
  const outlook =
    options.copy === true
      ? { outcome: "copies" as const, why: "asked for by the operator" }
      : await outlookFor(name, pipeline, deps);
  if (spec.value.desired === "cut-over") throw notNow(name, spec.value, "", "");
  if (options.dryRun === true) return { name, desired: spec.value.desired, isChanged: false, ...outlook };
  if (outlook.outcome === "copies") refuseCopyless(name, pipeline, outlook.why);
  if (outlook.outcome === "copies" && pipeline.onBacklogLost === "halt" && options.copy !== true) {
    throw new Refusal(409, "SRC-016", `pipeline ${name} can't continue: ${outlook.why}`);
  }
  return { ...(await startPipeline(name, deps, options)), ...outlook };
}

/** What a pipeline would do if it ran on from its records with these endpoints. */
export async function outlookFor(name: string, pipeline: Pipeline, deps: DeskDeps): Promise<Outlook> {
  const { records } = deps;
  const topology = (await records.get(recordKey.topology(name), topologyRecord))?.value ?? null;
  const shards = new Map<string, ShardRecord>();
  for (const { id } of topology?.shards ?? []) {
    const shard = await records.get(recordKey.shard(name, id), shardRecord);
    if (shard !== null) shards.set(id, shard.value);
  }
  const idleMs = await idleOf(name, deps);
  let histories: ReadonlyMap<string, SourceHistory> = new Map();
  try {
    const source = openEndpoint(pipeline.source, (sealed) => openSecret(sealed, deps.secretKey));
    if (topology !== null) histories = await sourceHistories(source, topology);
  } catch (cause) {
    if (!(cause instanceof Halt)) throw cause;
    return { outcome: "unknown", why: describeFault(cause) };
  }
  return outlookOf({ topology, shards, histories, idleMs, graceMs: expiryGraceMs(pipeline) });
}

/** Throws `Refusal` 409 SRC-019 where the pipeline is one that never copies. */
export function refuseCopyless(name: string, { mode }: Pipeline, why: string): void {
  if (mode !== "changes") return;
  throw new Refusal(409, "SRC-019", `pipeline ${name} can't continue, and with \`mode: changes\` nothing is copied: ${why}`);
}

/** It runs and nothing of it has halted, or it is being checked. */
async function isUnderWay(name: string, { desired }: WrittenSpec, revision: number, { records }: DeskDeps): Promise<boolean> {
  if (desired === "checking") {
    const checked = await records.get(recordKey.precheck(name), precheckRecord);
    return checked?.value.spec !== revision || checked.value.report.verdict !== "fail";
  }
  if (desired !== "running") return false;
  return (await records.get(recordKey.state(name), stateRecord))?.value.state !== "failed";
}

/** Whether it, or a part of it, has applied nothing for longer than expiries in the destinations bear. */
export async function hasBeenIdle(name: string, { pipeline }: Pick<WrittenSpec, "pipeline">, deps: DeskDeps): Promise<boolean> {
  return isTooLong(await idleOf(name, deps), expiryGraceMs(pipelineSchema.parse(pipeline)));
}

/** How long nothing was applied; of one that runs, how long a part of it had halted or waited since all of it last had caught up. */
async function idleOf(name: string, { records }: DeskDeps): Promise<number> {
  const spec = await records.get(recordKey.spec(name), writtenSpec);
  if (spec === null) return 0;
  // No start makes it forgotten: its cause may be there still.
  const isCounted = isIdle(spec.value) || spec.value.desired === "running";
  return isCounted ? ((await records.get(recordKey.windows(name), windowsRecord))?.value.idleMs ?? 0) : 0;
}

/** Raises every shard's floor to the epoch counter, so that its ingest begins a new epoch with a full copy. */
export async function requestCopies(name: string, { records }: DeskDeps): Promise<void> {
  const key = recordKey.topology(name);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const current = await records.get(key, topologyRecord);
    if (current === null) return;
    const epoch = (await records.get(recordKey.epoch(name), epochRecord))?.value.epoch ?? 0;
    const shards = current.value.shards.map((shard) => ({ ...shard, floor: Math.max(shard.floor, epoch) }));
    if ((await records.compareAndSet(key, topologyRecord, { ...current.value, shards }, current.revision)) !== null) return;
  }
  throw changedInBetween(name);
}
