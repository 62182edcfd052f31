import type { Stored } from "@sluice/bus";
import {
  pipelineSchema,
  precheckRecord,
  precheckVerdict,
  recordKey,
  writtenSpec,
  type PrecheckRecord,
  type PrecheckReport,
  type PrecheckRequest,
  type WrittenSpec,
} from "@sluice/wire";
import { addEvents } from "../lifecycle/event-log.ts";
import { checkPipeline, type CheckDeps, type Checked } from "./check-pipeline.ts";
import type { DeskDeps } from "./desk-deps.ts";
import { readPostedPipeline } from "./posted-pipeline.ts";
import { ATTEMPTS, changedInBetween, isPipelineName, noSuchPipeline } from "./spec-change.ts";

/** Checks the pipeline of a request, which need not exist. Nothing is kept. Throws `Refusal` 422 PIP-001; `Retryable` BUS-001. */
export async function precheckPosted(body: unknown, request: PrecheckRequest, deps: DeskDeps): Promise<PrecheckReport> {
  const { pipeline } = readPostedPipeline(body);
  const existing = await deps.records.get(recordKey.spec(pipeline.name), writtenSpec);
  const hasRun = existing !== null && existing.value.isNew !== true;
  return (await checkPipeline(pipeline, request, { isSealed: false, hasRun }, deps)).report;
}

/**
 * Checks a pipeline that exists, all of it or what `request.only` names, and keeps the report, with what it says to ignore from now
 * on. One whose start was asked for, and that nothing forbids any more, starts by itself.
 * Throws `Refusal` 404 PIP-002, 409 PIP-003; `Retryable` BUS-001.
 */
export async function precheckPipeline(name: string, request: PrecheckRequest, deps: DeskDeps): Promise<PrecheckReport> {
  if (!isPipelineName(name)) throw noSuchPipeline(name);
  const spec = await deps.records.get(recordKey.spec(name), writtenSpec);
  if (spec === null) throw noSuchPipeline(name);
  const { report } = await checkStored(name, spec, request, deps);
  const failed = report.results.filter(({ level, waived }) => level === "fail" && waived === null).length;
  const text = `prechecks were asked for: ${failed === 0 ? report.verdict : `${failed} failed`}`;
  await addEvents(deps.records, name, [{ kind: "precheck", text }], deps.clock.nowMs()).catch(() => undefined);
  return report;
}

/** Runs the prechecks of a pipeline as its record has it, and keeps what they say. Throws as `precheckPipeline`. */
export async function checkStored(
  name: string,
  spec: Stored<WrittenSpec>,
  request: PrecheckRequest,
  deps: CheckDeps,
): Promise<PrecheckRecord> {
  const key = recordKey.precheck(name);
  const kept = (await deps.records.get(key, precheckRecord))?.value.ignore ?? [];
  const ignore = withWaivers(kept, request.ignore ?? []);
  const hasRun = spec.value.isNew !== true;
  const pipeline = pipelineSchema.parse(spec.value.pipeline);
  const checked = await checkPipeline(pipeline, { ...request, ignore }, { isSealed: true, hasRun }, deps);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const current = await deps.records.get(key, precheckRecord);
    const next = merged(current?.value ?? null, checked, spec.revision, request.only !== undefined, ignore);
    if ((await deps.records.compareAndSet(key, precheckRecord, next, current?.revision ?? 0)) !== null) return next;
  }
  throw changedInBetween(name);
}

type Waivers = PrecheckRecord["ignore"];

function withWaivers(kept: Waivers, added: NonNullable<PrecheckRequest["ignore"]>): Waivers {
  const others = kept.filter(({ id }) => !added.some((waiver) => waiver.id === id));
  return [...others, ...added.map(({ id, reason }) => ({ id, reason }))];
}

/** What a run of some checks says takes the place of what these said before; of the same spec the others stay. */
export function merged(
  before: PrecheckRecord | null,
  { report, highestEpoch }: Checked,
  spec: number,
  isPartial: boolean,
  ignore: Waivers,
): PrecheckRecord {
  if (!isPartial || before === null || before.spec !== spec) {
    // A few checks alone allow no start.
    return { spec: isPartial ? 0 : spec, report, ignore, highestEpoch };
  }
  const asked = new Map(report.results.map((result) => [result.id, report.results.filter(({ id }) => id === result.id)]));
  const told = new Set<string>();
  const results = before.report.results.flatMap((result) => {
    const now = asked.get(result.id);
    if (now === undefined) return [result];
    if (told.has(result.id)) return [];
    told.add(result.id);
    return now;
  });
  const added = [...asked].filter(([id]) => !told.has(id)).flatMap(([, found]) => found);
  const all = [...results, ...added];
  return {
    spec,
    report: { at: report.at, results: all, verdict: precheckVerdict(all) },
    ignore,
    highestEpoch: Math.max(before.highestEpoch, highestEpoch),
  };
}
