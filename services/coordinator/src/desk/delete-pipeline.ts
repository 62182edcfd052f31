import type { Stored } from "@sluice/bus";
import { codes } from "@sluice/runtime";
import {
  assignmentRecord,
  recordKey,
  specRecord,
  stateRecord,
  withLastStart,
  writtenSpec,
  type WrittenSpec,
} from "@sluice/wire";
import { abandonCutover } from "../settle/request-cutover.ts";
import { clearLeft } from "./clear-left.ts";
import type { DeskDeps } from "./desk-deps.ts";
import { Refusal } from "./refusal.ts";
import { ATTEMPTS, changedInBetween, isPipelineName, noSuchPipeline, wished } from "./spec-change.ts";

export interface DeleteOptions {
  /** One that runs is stopped first, at once: what is stored and not applied is lost. */
  readonly force: boolean;
}

export interface Deleted {
  readonly name: string;
  /** Keys `sluice:{…` stay there: a pipeline of the same name begins above them. */
  readonly marksStay: boolean;
}

/** How long the instances may take to let go of a pipeline that has just come to rest, by itself or by force. */
const RELEASE_LIMIT_MS = 10_000;
/** Behind that they may still write the last of their reports. */
const LAST_REPORTS_MS = 1_500;
const POLL_MS = 100;

/**
 * Removes a pipeline: its stream and all its records. Only one of which nothing runs, unless by force. The spec goes first, so that a
 * deletion that broke off leaves no pipeline: another deletion removes what was left, and so does who creates the next one of the name.
 * Throws `Refusal` 404 PIP-002, 409 PIP-013, PIP-003; `Retryable` BUS-001.
 */
export async function deletePipeline(name: string, { force }: DeleteOptions, deps: DeskDeps): Promise<Deleted> {
  if (!isPipelineName(name)) throw noSuchPipeline(name);
  const { records, log } = deps;
  const key = recordKey.spec(name);
  let spec = await records.get(key, writtenSpec);
  if (spec === null) {
    if ((await clearLeft(name, deps)) !== "cleared") throw noSuchPipeline(name);
    log.info({ pipeline: name }, "removed what an earlier deletion left");
    return { name, marksStay: true };
  }
  const isResting = await isAtRest(name, spec.value, deps);
  if (!isResting && !force) {
    throw new Refusal(
      409,
      "PIP-013",
      `pipeline ${name} is not at rest: only one that is stopped, blocked, failed, cut over or was never started can be deleted`,
      `Stop it first: \`sluice stop ${name}\`. With force it is deleted as it is, and what is not applied is lost.`,
    );
  }
  if (!isResting) spec = await halt(name, deps);
  // What has just come to rest its instances let go of within a second.
  const isFree = isResting && (await isReleased(name, deps));
  if (!isFree && !(await released(name, deps)) && !force) {
    throw new Refusal(
      409,
      "PIP-013",
      `instances have not let go of pipeline ${name} within ${RELEASE_LIMIT_MS / 1_000} s`,
      "A router takes their work back: see that one runs, and delete again. With force it is deleted all the same.",
    );
  }
  try {
    await records.removeIf(key, spec.revision);
  } catch (cause) {
    if ((await records.get(key, writtenSpec))?.revision !== spec.revision) throw changedInBetween(name);
    throw cause;
  }
  await clearLeft(name, deps);
  log.info({ pipeline: name, force }, "deleted");
  return { name, marksStay: true };
}

/** By wish and by what is observed; its instances may be about to let go of it. */
async function isAtRest(name: string, { desired }: WrittenSpec, { records }: DeskDeps): Promise<boolean> {
  if (desired === "created" || desired === "checking") return true;
  const state = (await records.get(recordKey.state(name), stateRecord))?.value.state;
  if (desired === "failed" || desired === "cut-over") return state === desired || state === "failed";
  return desired === "stopped" && state === "stopped";
}

/**
 * Nothing of it shall run, from now on. Not `stopped`: its lanes would first apply what is stored, and wait for a destination that is away.
 * A cut-over goes first, or it would write what it wants of the pipeline over this.
 */
async function halt(name: string, { records, clock }: DeskDeps): Promise<Stored<WrittenSpec>> {
  await abandonCutover(name, records);
  const { meaning: message, remedy } = codes["PIP-016"];
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const existing = await records.get(recordKey.spec(name), writtenSpec);
    if (existing === null) throw noSuchPipeline(name);
    const failure = { code: "PIP-016", message, remedy, at: clock.nowMs() };
    const value = withLastStart({ ...wished(existing.value, "failed"), failure }, existing);
    const revision = await records.compareAndSet(recordKey.spec(name), specRecord, value, existing.revision);
    if (revision !== null) return { value, revision };
  }
  throw changedInBetween(name);
}

async function isReleased(name: string, { records }: DeskDeps): Promise<boolean> {
  const assignment = (await records.get(recordKey.assignment(name), assignmentRecord))?.value;
  return Object.keys({ ...assignment?.shards, ...assignment?.lanes }).length === 0;
}

/** Waits until no instance has anything of it, for so long as that may take; false where one that is gone for good still has. */
async function released(name: string, deps: DeskDeps): Promise<boolean> {
  const { clock } = deps;
  const untilMs = clock.monotonicMs() + RELEASE_LIMIT_MS;
  while (!(await isReleased(name, deps)) && clock.monotonicMs() < untilMs) await clock.sleep(POLL_MS);
  await clock.sleep(LAST_REPORTS_MS);
  return isReleased(name, deps);
}
