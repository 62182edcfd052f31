import type { Stored } from "@sluice/bus";
import {
  pipelineSchema,
  precheckRecord,
  recordKey,
  writtenSpec,
  type PrecheckRecord,
  type PrecheckReport,
  type PrecheckRequest,
  type PrecheckResult,
  type WrittenSpec,
} from "@sluice/wire";
import { addEvents } from "../lifecycle/event-log.ts";
import { gateIds } from "../precheck/run-prechecks.ts";
import { checkPipeline, type CheckDeps, type Checked } from "./check-pipeline.ts";
import type { DeskDeps } from "./desk-deps.ts";
import { readPostedPipeline } from "./posted-pipeline.ts";
import { ATTEMPTS, changedInBetween, isPipelineName, noSuchPipeline } from "./spec-change.ts";
import { waivedReport, withWaivers, type Waivers } from "./waivers.ts";

/** Checks the pipeline of a request, which need not exist. Nothing is kept. Throws `Refusal` 422 PIP-001; `Retryable` BUS-001. */
export async function precheckPosted(body: unknown, request: PrecheckRequest, deps: DeskDeps): Promise<PrecheckReport> {
  const { pipeline } = readPostedPipeline(body);
  return (await checkPipeline(pipeline, request, { isSealed: false }, deps)).report;
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
  const pipeline = pipelineSchema.parse(spec.value.pipeline);
  const checked = await checkPipeline(pipeline, { ...request, ignore }, { isSealed: true }, deps);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const current = await deps.records.get(key, precheckRecord);
    // The operator may have waived more while they ran.
    const waivers = withWaivers(current?.value.ignore ?? [], request.ignore ?? []);
    const next = merged(current?.value ?? null, checked, spec.revision, request.only !== undefined, waivers);
    if ((await deps.records.compareAndSet(key, precheckRecord, next, current?.revision ?? 0)) !== null) return next;
  }
  throw changedInBetween(name);
}

/**
 * What a run of some checks says takes the place of what these said before; of the same spec the others stay. Where it opens a gate the
 * record allows no start any more: what the gate had kept from being asked is to be asked by a run of all.
 */
export function merged(
  before: PrecheckRecord | null,
  { report, highestEpoch }: Pick<Checked, "report" | "highestEpoch">,
  spec: number,
  isPartial: boolean,
  ignore: Waivers,
): PrecheckRecord {
  if (!isPartial || before === null || before.spec !== spec) {
    // A few checks alone allow no start.
    return { spec: isPartial ? 0 : spec, report: waivedReport(report, ignore), ignore, highestEpoch };
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
    spec: hasOpenedGate(before.report.results, all) ? 0 : spec,
    report: waivedReport({ at: report.at, results: all, verdict: "pass" }, ignore),
    ignore,
    highestEpoch: Math.max(before.highestEpoch, highestEpoch),
  };
}

function hasOpenedGate(before: readonly PrecheckResult[], now: readonly PrecheckResult[]): boolean {
  const shut = (results: readonly PrecheckResult[]): string[] =>
    results.filter(({ id, level }) => gateIds.has(id) && level !== "pass").map(({ id, endpoint }) => `${id} ${endpoint}`);
  const stillShut = new Set(shut(now));
  return shut(before).some((gate) => !stillShut.has(gate));
}
