import type { LaneStream, Records, Stored } from "@sluice/bus";
import { codes, sealSecret, type Clock, type Logger } from "@sluice/runtime";
import {
  cutoverRecord,
  epochRecord,
  expiryGraceMs,
  pipelineSchema,
  recordKey,
  specRecord,
  writtenSpec,
  type Pipeline,
  type WrittenSpec,
} from "@sluice/wire";
import { openEndpoint } from "../endpoint/open-endpoint.ts";
import { judge } from "../precheck/checks.ts";
import type { PrecheckFacts } from "../precheck/facts.ts";
import { gatherFacts } from "../precheck/gather-facts.ts";
import { cancelCutover } from "../settle/request-cutover.ts";
import { readPostedPipeline, type PostedPipeline } from "./posted-pipeline.ts";
import { Refusal } from "./refusal.ts";
import { isSameSource, place } from "./same-source.ts";

export interface DeskDeps {
  readonly records: Records;
  readonly streamOf: (pipeline: string) => LaneStream;
  readonly secretKey: Buffer | null;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Started {
  readonly name: string;
  readonly outcome: "created" | "resumed";
}

/** Another request changed the same record in between so often. */
const ATTEMPTS = 5;

/**
 * Starts the pipeline of a request: creates it after its checks, or, where one of the name with the same endpoints exists,
 * makes it run again with what the request says otherwise (credentials included). Throws `Refusal` 422 with the code of the
 * first finding, 409 PIP-003, PIP-009 when it is cut over; `Retryable` BUS-001.
 */
export async function startPipeline(body: unknown, deps: DeskDeps): Promise<Started> {
  const posted = readPostedPipeline(body);
  const { name } = posted.pipeline;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const existing = await deps.records.get(recordKey.spec(name), writtenSpec);
    const isDone = existing === null ? await create(posted, deps) : await resume(posted, existing, deps);
    if (isDone) return { name, outcome: existing === null ? "created" : "resumed" };
  }
  throw changedInBetween(name);
}

/**
 * Makes a pipeline stop: its ingest at once, its lanes when they have applied what is stored. False when there is none. A cut-over
 * is taken back, unless it has begun to settle: then there is nothing to stop.
 */
export async function stopPipeline(name: string, { records }: DeskDeps): Promise<boolean> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const existing = await records.get(recordKey.spec(name), writtenSpec);
    if (existing === null) return false;
    // What is cut over, or nearly, has stopped for good.
    if (existing.value.desired === "cut-over") return true;
    await cancelCutover(name, records);
    if (existing.value.desired === "stopped") return true;
    const stopped = { ...existing.value, desired: "stopped" as const };
    if ((await records.compareAndSet(recordKey.spec(name), specRecord, stopped, existing.revision)) !== null) return true;
  }
  throw changedInBetween(name);
}

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
  if ((await records.compareAndSet(recordKey.spec(name), specRecord, spec, 0)) !== null) return name;
  await records.compareAndSet(recordKey.cutover(name), cutoverRecord, { ...cutover, phase: "cancelled" }, revision);
  throw existsAlready(name);
}

function existsAlready(name: string): Refusal {
  const remedy = `Cut it over: \`sluice cutover ${name}\`, with --force where its source is lost.`;
  return new Refusal(409, "PIP-003", `pipeline ${name} exists`, remedy);
}

function changedInBetween(name: string): Refusal {
  return new Refusal(409, "PIP-003", `pipeline ${name} was changed by other requests in between`, "Send the request again.");
}

async function create(posted: PostedPipeline, deps: DeskDeps): Promise<boolean> {
  const { pipeline } = posted;
  const { name } = pipeline;
  const pipelineSealed = sealed(posted.written, deps.secretKey);
  const facts = await gatherFacts({
    name,
    lanes: pipeline.lanes,
    source: openEndpoint(pipeline.source, (password) => password),
    destinations: pipeline.destinations.map((spec) => ({
      group: spec.group,
      existing: spec.existing,
      endpoint: openEndpoint(spec, (password) => password),
    })),
  });
  refuseFindings(facts);
  // What a request to settle its destinations left that broke off.
  await cancelCutover(name, deps.records);
  await deps.streamOf(name).ensure();
  await deps.streamOf(name).limit(pipeline.limits.streamBytes ?? null);
  await raiseEpoch(name, facts, deps.records);
  const spec = { pipeline: pipelineSealed, desired: "running" as const, createdAt: deps.clock.nowMs() };
  return (await deps.records.compareAndSet(recordKey.spec(name), specRecord, spec, 0)) !== null;
}

async function resume(posted: PostedPipeline, existing: Stored<WrittenSpec>, deps: DeskDeps): Promise<boolean> {
  const { name } = posted.pipeline;
  refuseOther(posted.pipeline, pipelineSchema.parse(existing.value.pipeline));
  await cancelCutover(name, deps.records);
  // Every instance makes its actors anew when it sees this record, those that halted among them.
  const spec = { ...existing.value, pipeline: sealed(posted.written, deps.secretKey), desired: "running" as const };
  return (await deps.records.compareAndSet(recordKey.spec(name), specRecord, spec, existing.revision)) !== null;
}

function refuseFindings(facts: PrecheckFacts): void {
  const findings = judge(facts);
  const first = findings[0];
  if (first === undefined) return;
  const message = findings.map(({ endpoint, found, expected }) => `${endpoint}: ${found}; expected ${expected}`).join(". ");
  throw new Refusal(422, first.code, message);
}

/** No new epoch may be one that a destination has already seen: the records may be younger than its marks (H6). */
async function raiseEpoch(name: string, { destinations }: PrecheckFacts, records: Records): Promise<void> {
  const highest = Math.max(...destinations.map(({ mark }) => (mark === null || typeof mark === "string" ? 0 : mark.epoch)));
  for (;;) {
    const current = await records.get(recordKey.epoch(name), epochRecord);
    if ((current?.value.epoch ?? 0) >= highest) return;
    const raised = await records.compareAndSet(recordKey.epoch(name), epochRecord, { epoch: highest }, current?.revision ?? 0);
    if (raised !== null) return;
  }
}

/** Throws `Refusal` PIP-003 when `posted` is not the pipeline that exists. */
function refuseOther(posted: Pipeline, existing: Pipeline): void {
  const differing = [
    ...(isSameSource(posted.source.url, existing.source.url) ? [] : ["the source"]),
    ...(destinationsOf(posted) === destinationsOf(existing) ? [] : ["the destinations"]),
  ];
  const { name } = posted;
  if (differing.length > 0)
    throw new Refusal(409, "PIP-003", `pipeline ${name} exists and differs in ${differing.join(" and ")}`);
  if (posted.lanes !== existing.lanes) {
    throw new Refusal(409, "PIP-003", `pipeline ${name} exists with \`lanes: ${existing.lanes}\`, and its stream is cut so`);
  }
  if (expiryGraceMs(posted) !== expiryGraceMs(existing)) {
    throw new Refusal(
      409,
      "PIP-003",
      `pipeline ${name} exists with retryWindow + keepApplied of ${expiryGraceMs(existing)} ms, and expiries in its destinations carry this sum`,
      "Keep both as they were, or give the new pipeline another name.",
    );
  }
}

function destinationsOf(pipeline: Pipeline): string {
  return pipeline.destinations
    .map(({ group, url }) => `${group} ${place(url)}`)
    .toSorted((a, b) => (a < b ? -1 : 1))
    .join(", ");
}

/** The pipeline as it goes into its record. Throws `Refusal` SLU-002 when there is a secret and no key. */
function sealed(written: WrittenSpec["pipeline"], key: Buffer | null): WrittenSpec["pipeline"] {
  const copy = structuredClone(written);
  for (const endpoint of [copy.source, copy.source.sentinel ?? {}, ...copy.destinations]) {
    if (typeof endpoint.password !== "string") continue;
    if (key === null) {
      const message = "the pipeline holds a password, and the coordinator has no key to seal it with";
      throw new Refusal(422, "SLU-002", message, `Set SLUICE_SECRET_KEY for every service. ${codes["SLU-002"].remedy}`);
    }
    endpoint.password = sealSecret(endpoint.password, key);
  }
  return copy;
}
