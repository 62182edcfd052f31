import { cutoverRecord, recordKey, specRecord, writtenSpec, type CutoverRecord } from "@sluice/wire";
import type { DeskDeps } from "./desk-deps.ts";
import { readPostedPipeline } from "./posted-pipeline.ts";
import { Refusal } from "./refusal.ts";
import { sealed } from "./seal-pipeline.ts";
import { changedInBetween } from "./spec-change.ts";

/**
 * Settles the destinations of a pipeline whose records are lost, by its file alone. Its name. Throws `Refusal` 409 PIP-003 where
 * there are records: they know better.
 */
export async function settlePosted(body: unknown, deps: DeskDeps): Promise<string> {
  const posted = readPostedPipeline(body);
  const { name } = posted.pipeline;
  const { records } = deps;
  const nowMs = deps.clock.nowMs();
  const spec = { pipeline: sealed(posted.written, deps.secretKey), desired: "cut-over" as const, createdAt: nowMs };
  const reason = "asked for by the operator, by the pipeline's file";
  const cutover = { phase: "settling" as const, isForced: true, reason, since: nowMs, drainedAt: {}, groups: {} };
  if ((await records.get(recordKey.spec(name), writtenSpec)) !== null) throw existsAlready(name);
  // Before the spec: without a spec nobody goes by it, and a request that broke off here is made again.
  const current = await records.get(recordKey.cutover(name), cutoverRecord);
  const revision = await records.compareAndSet(recordKey.cutover(name), cutoverRecord, cutover, current?.revision ?? 0);
  if (revision === null) throw changedInBetween(name);
  if ((await records.compareAndSet(recordKey.spec(name), specRecord, spec, 0)) !== null) {
    await keepCutover(name, cutover, revision, deps);
    return name;
  }
  await records.compareAndSet(recordKey.cutover(name), cutoverRecord, { ...cutover, phase: "cancelled" }, revision);
  throw existsAlready(name);
}

/**
 * Who clears what was left of the name while there was no spec removes the cut-over, too, as it was then: it is written again, as another.
 * Where it is neither gone nor as it was, the pipeline's life has gone on with it.
 */
async function keepCutover(name: string, cutover: CutoverRecord, revision: number, { records }: DeskDeps): Promise<void> {
  const key = recordKey.cutover(name);
  if ((await records.compareAndSet(key, cutoverRecord, cutover, revision)) !== null) return;
  await records.compareAndSet(key, cutoverRecord, cutover, 0);
}

function existsAlready(name: string): Refusal {
  const remedy = `Cut it over: \`sluice cutover ${name}\`, with --force where its source is lost.`;
  return new Refusal(409, "PIP-003", `pipeline ${name} exists`, remedy);
}
