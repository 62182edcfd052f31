import { describeFault, openSecret, Retryable } from "@sluice/runtime";
import {
  epochRecord,
  pipelineSchema,
  recordKey,
  withLastStart,
  withWorkKept,
  writtenSpec,
  type Pipeline,
  type WrittenSpec,
} from "@sluice/wire";
import { openEndpoint } from "../endpoint/open-endpoint.ts";
import { DestinationProbe } from "../precheck/probe/destination-probe.ts";
import { precheckSubject } from "../precheck/subject.ts";
import { cancelCutover } from "../settle/request-cutover.ts";
import { checkAdded } from "./check-added.ts";
import type { DeskDeps } from "./desk-deps.ts";
import { groupChanges, toldChanges, withAdditions, withCommonGroups, type GroupChange } from "./group-changes.ts";
import { readPostedPipeline } from "./posted-pipeline.ts";
import { Refusal } from "./refusal.ts";
import type { Outlook } from "./resume-outcome.ts";
import { movedEndpoints, refuseFixed } from "./same-pipeline.ts";
import { sealed, unsealed } from "./seal-pipeline.ts";
import { changeSpec, isPipelineName, noSuchPipeline, notNow, wished, type Commanded } from "./spec-change.ts";
import { hasLiftedHalt } from "./lifted-halts.ts";
import { hasBeenIdle, outlookFor, refuseCopyless, requestCopies } from "./start-pipeline.ts";

export interface EditOptions {
  /** Only says what would happen. */
  readonly dryRun: boolean;
  /** The body holds changes: fields that it does not name stay, null takes one away; destinations are found by their group. */
  readonly isPatch: boolean;
}

/** What an edit does, or would do. */
export interface Edited extends Commanded {
  /** Fields that are different now, as paths; passwords by their place only. */
  readonly changed: readonly string[];
  /** `kept`: it goes on from where it is. `copies`: it copies anew. `unknown`: a server can't be asked now. */
  readonly checkpoint: "kept" | "copies" | "unknown";
  readonly why: string;
  /** Groups that come or go, and what becomes of them. */
  readonly groups: readonly GroupChange[];
}

/**
 * Edits endpoints, credentials, policies and limits of a pipeline, and adds groups to it or takes some away: where that is all, what runs for
 * the others goes on. What can't be changed once it has run is refused by name. Where
 * endpoints lead elsewhere, prechecks come before it runs again; a pipeline that runs does nothing meanwhile.
 * Throws `Refusal` 404 PIP-002, 422 PIP-001, 409 PIP-003, PIP-009, PIP-017, DST-005; `Retryable` BUS-001.
 */
export async function editPipeline(name: string, body: unknown, options: EditOptions, deps: DeskDeps): Promise<Edited> {
  if (!isPipelineName(name)) throw noSuchPipeline(name);
  const stored = await deps.records.get(recordKey.spec(name), writtenSpec);
  if (stored === null) throw noSuchPipeline(name);
  const existing = pipelineSchema.parse(stored.value.pipeline);
  const former = unsealed(stored.value.pipeline, deps.secretKey);
  const posted = readPostedPipeline(options.isPatch ? patched(former, body) : body);
  if (posted.pipeline.name !== name) {
    throw new Refusal(
      409,
      "PIP-003",
      `pipeline ${name} can't become ${posted.pipeline.name}: its name stands in its stream, records and marks`,
    );
  }
  const isNew = stored.value.isNew === true;
  if (!isNew) refuseFixed(posted.pipeline, existing);
  const changes = isNew ? NO_GROUPS : groupChanges(posted.pipeline, existing);
  const others = [...changes.added, ...changes.removed];
  const { source, destinations } = movedEndpoints(posted.pipeline, existing);
  const moved = { source, destinations: destinations.filter((group) => !others.includes(group)) };
  const isMoved = moved.source || moved.destinations.length > 0;
  const inPlace = changedPaths(withCommonGroups(former, changes), withCommonGroups(posted.written, changes));
  const isGroupsOnly = others.length > 0 && inPlace.length === 0;
  const changed = [...inPlace, ...others.map((group) => `destinations[${group}]`)];
  const pipeline = sealed(posted.written, deps.secretKey);
  const halted: Outlook | null =
    !isGroupsOnly && (await isLate(name, stored.value, deps)) ? { outcome: "copies", why: HALTED_LONG } : null;
  const outlook = isNew ? NEVER_RAN : (halted ?? (await outlookOfEdit(name, pipelineSchema.parse(pipeline), moved, deps)));
  const checkpoint = outlook.outcome === "continues" ? ("kept" as const) : outlook.outcome;
  const above = await checkAdded(name, { posted: posted.pipeline, existing }, changes, deps);
  const groups = toldChanges(name, changes);
  const told = { changed, checkpoint, why: outlook.why, groups };
  if (options.dryRun) return { name, desired: stored.value.desired, isChanged: false, ...told };
  const what = [`edited: ${changed.join(", ") || "nothing"}`, ...groups.map(({ text }) => text)].join("; ");
  const change = async (spec: WrittenSpec, revision: number): Promise<WrittenSpec | null> => {
    if (spec.desired === "cut-over") throw notNow(name, spec, "", "");
    // What was foretold, and what was patched, is the pipeline that was read.
    if (revision !== stored.revision) {
      throw new Refusal(409, "PIP-003", `pipeline ${name} was changed by other requests in between`, "Send the request again.");
    }
    if (changed.length === 0) return null;
    await cancelCutover(name, deps.records);
    for (const group of changes.added) await forgetGroup(name, group, deps);
    if (!isGroupsOnly && (await isLate(name, spec, deps))) {
      refuseCopyless(name, posted.pipeline, HALTED_LONG);
      await requestCopies(name, deps);
    }
    return withAdditions(edited(spec, pipeline, isMoved && !isNew), changes, above);
  };
  return { ...(await changeSpec(name, deps, what, change, isGroupsOnly ? withWorkKept : withLastStart)), ...told };
}

const NO_GROUPS = { added: [], removed: [] };

/** What is left of an earlier time of the group leads to where it was then. */
async function forgetGroup(name: string, group: string, { records }: DeskDeps): Promise<void> {
  const keys = [
    recordKey.destination(name, group),
    recordKey.kept(name, group),
    recordKey.router(name, `destination.${group}`),
  ];
  for (const key of keys) await records.remove(key);
}

/** It runs, and an edit begins a part of it anew that has applied nothing for longer than expiries in the destinations bear. */
async function isLate(name: string, spec: WrittenSpec, deps: DeskDeps): Promise<boolean> {
  return spec.desired === "running" && (await hasBeenIdle(name, spec, deps)) && hasLiftedHalt(name, deps);
}

/** How long a destination may take to show the pipeline's marks. */
const MARK_LIMIT_MS = 5_000;
const HALTED_LONG = "a part of it has halted for too long: keys that the source has renewed meanwhile may have expired";
const NEVER_RAN: Outlook = { outcome: "copies", why: "it has never run" };

function edited(spec: WrittenSpec, pipeline: WrittenSpec["pipeline"], isMoved: boolean): WrittenSpec {
  if (!isMoved) return { ...spec, pipeline };
  const next = { ...spec, pipeline, isEdited: true };
  return spec.desired === "running" ? wished(next, "checking") : next;
}

async function outlookOfEdit(
  name: string,
  pipeline: Pipeline,
  moved: ReturnType<typeof movedEndpoints>,
  deps: DeskDeps,
): Promise<Outlook> {
  if (!moved.source && moved.destinations.length === 0) return { outcome: "continues", why: "no endpoint leads elsewhere" };
  const source: Outlook = moved.source ? await outlookFor(name, pipeline, deps) : { outcome: "continues", why: "" };
  if (source.outcome !== "continues") return source;
  for (const group of moved.destinations) {
    const destination = await outlookOfDestination(name, pipeline, group, deps);
    if (destination.outcome !== "continues") return destination;
  }
  return { outcome: "continues", why: "the histories are the same" };
}

/** A destination that was moved with its data holds the pipeline's marks. */
async function outlookOfDestination(name: string, pipeline: Pipeline, group: string, deps: DeskDeps): Promise<Outlook> {
  const ending = new AbortController();
  try {
    const subject = precheckSubject(pipeline, (spec) => openEndpoint(spec, (text) => openSecret(text, deps.secretKey)));
    const destination = subject.destinations.find((one) => one.group === group);
    if (destination === undefined) return { outcome: "copies", why: `destination ${group} is new` };
    const limit = deps.clock.sleep(MARK_LIMIT_MS, ending.signal).then(() => "it does not answer in time" as const);
    const mark = await Promise.race([new DestinationProbe(subject, destination, ending.signal).mark(), limit]);
    const epoch = (await deps.records.get(recordKey.epoch(name), epochRecord))?.value.epoch ?? 0;
    if (mark === null) return { outcome: "copies", why: `destination ${group} holds no mark of the pipeline` };
    if (typeof mark === "string") return { outcome: "unknown", why: `destination ${group}: ${mark}` };
    if (mark.epoch > epoch)
      return { outcome: "copies", why: `the mark in destination ${group} is of another life of the pipeline` };
    return { outcome: "continues", why: "" };
  } catch (cause) {
    if (cause instanceof Retryable) throw cause;
    return { outcome: "unknown", why: `destination ${group} can't be asked now: ${describeFault(cause)}` };
  } finally {
    ending.abort();
  }
}

type Fields = Record<string, unknown>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The pipeline with the changes of `patch`, as JSON Merge Patch has them (RFC 7396). Throws `Refusal` 400 PIP-001. */
function patched(pipeline: unknown, patch: unknown): unknown {
  if (!isFields(patch)) throw new Refusal(400, "PIP-001", "expected the changes of a pipeline as a JSON object");
  const { destinations, ...others } = patch;
  const next = mergePatch(pipeline, others) as Fields;
  if (destinations === undefined) return next;
  if (!Array.isArray(destinations)) throw new Refusal(400, "PIP-001", "destinations: expected a list");
  const known = (next["destinations"] as Fields[]).map((destination) => destination);
  for (const change of destinations as unknown[]) {
    const group = isFields(change) ? (change["group"] ?? "main") : null;
    const index = known.findIndex((destination) => (destination["group"] ?? "main") === group);
    if (index < 0) known.push(change as Fields);
    else known[index] = mergePatch(known[index], change) as Fields;
  }
  return { ...next, destinations: known };
}

function mergePatch(value: unknown, patch: unknown): unknown {
  if (!isFields(patch)) return patch;
  const next: Fields = isFields(value) ? { ...value } : {};
  for (const [name, change] of Object.entries(patch)) {
    if (change === null) delete next[name];
    else next[name] = mergePatch(next[name], change);
  }
  return next;
}

/** Paths of the fields that differ, without their values. */
function changedPaths(before: unknown, after: unknown, path = ""): string[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  const isBothList = Array.isArray(before) && Array.isArray(after);
  if (!isBothList && !(isFields(before) && isFields(after))) return [path];
  const [one, two] = [before as Fields, after as Fields];
  const names = [...new Set([...Object.keys(one), ...Object.keys(two)])];
  return names.flatMap((name) =>
    changedPaths(one[name], two[name], isBothList ? `${path}[${name}]` : path === "" ? name : `${path}.${name}`),
  );
}
