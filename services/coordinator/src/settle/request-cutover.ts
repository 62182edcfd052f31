import type { Records } from "@sluice/bus";
import {
  cutoverRecord,
  recordKey,
  writtenSpec,
  type CutoverRecord,
  type PipelineState,
  type SettlingRecord,
} from "@sluice/wire";
import { Refusal } from "../desk/refusal.ts";

const ATTEMPTS = 5;
/** States from which a cut-over can wait for its pipeline by itself. */
const RUNNING: ReadonlySet<PipelineState> = new Set(["ready", "copying", "catching-up", "synchronizing", "retrying"]);

export interface CutoverRequest {
  readonly name: string;
  readonly isForced: boolean;
  /** As the pipeline was last seen. */
  readonly state: PipelineState;
  readonly nowMs: number;
}

/**
 * Begins the cut-over of a pipeline, or goes on with one that halted; one that is done stays so. False when there is no such
 * pipeline. Throws `Refusal` 409 PIP-010 when only `force` could do it, `Retryable` BUS-001.
 */
export async function requestCutover(request: CutoverRequest, records: Records): Promise<boolean> {
  const { name } = request;
  const key = recordKey.cutover(name);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const spec = await records.get(recordKey.spec(name), writtenSpec);
    if (spec === null) return false;
    const current = await records.get(key, cutoverRecord);
    const next = requested(current?.value ?? null, request);
    if (next === null) return true;
    if ((await records.compareAndSet(key, cutoverRecord, next, current?.revision ?? 0)) !== null) return true;
  }
  throw new Refusal(409, "PIP-003", `pipeline ${name} was changed by other requests in between`, "Send the request again.");
}

/** The record of the cut-over behind a request; null where nothing is to be written. */
export function requested(
  current: CutoverRecord | null,
  { name, isForced, state, nowMs }: CutoverRequest,
): CutoverRecord | null {
  const phase = current?.phase ?? "cancelled";
  if (current !== null && phase === "settling") return again(current, isForced, nowMs);
  if (phase === "done" || (phase === "draining" && !isForced)) return null;
  if (phase === "stopping" && (!isForced || current?.isForced === true)) return null;
  if (!isForced && !RUNNING.has(state)) {
    throw new Refusal(
      409,
      "PIP-010",
      `pipeline ${name} is ${state}: nobody can tell whether its destinations hold what the source holds`,
    );
  }
  const reason = isForced ? "asked for by the operator, by force" : "asked for by the operator";
  return { phase: isForced ? "stopping" : "draining", isForced, reason, since: nowMs, drainedAt: {}, groups: {} };
}

/** Those that halted begin again; by force also where slots have moved meanwhile, or names of kept keys are gone. */
function again(current: CutoverRecord, isForced: boolean, nowMs: number): CutoverRecord | null {
  if (!Object.values(current.groups).some(({ halt }) => halt !== null)) return null;
  const groups = Object.fromEntries(
    Object.entries(current.groups).map(([group, settling]) => [
      group,
      settling.halt === null ? settling : begun(settling, isForced),
    ]),
  );
  return { ...current, since: nowMs, groups };
}

function begun(settling: SettlingRecord, isForced: boolean): SettlingRecord {
  const next = { ...settling, halt: null };
  if (!isForced) return next;
  // Only what the operator has been told of: a cut-over that is forced for another reason halts there first.
  return { ...next, slots: null, ...(settling.halt?.code === "DST-025" ? { isWithoutNames: true } : {}) };
}

/**
 * Takes a cut-over back before anything is settled. Throws `Refusal` 409 PIP-009 when that has begun: expiries that are true
 * already would run out while the pipeline is behind.
 */
export async function cancelCutover(name: string, records: Records): Promise<void> {
  await takeBack(name, records, "taken back by the operator", ({ phase }) => {
    if (phase === "settling" || phase === "done") throw new Refusal(409, "PIP-009", `pipeline ${name} is cut over`);
  });
}

/** Ends a cut-over wherever it stands, for a pipeline that is deleted: destinations stay as settled as they are. Throws `Retryable` BUS-001. */
export async function abandonCutover(name: string, records: Records): Promise<void> {
  await takeBack(name, records, "the pipeline is deleted", () => undefined);
}

async function takeBack(
  name: string,
  records: Records,
  reason: string,
  refuse: (current: CutoverRecord) => void,
): Promise<void> {
  const key = recordKey.cutover(name);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const current = await records.get(key, cutoverRecord);
    if (current === null || current.value.phase === "cancelled") return;
    refuse(current.value);
    const cancelled = { ...current.value, phase: "cancelled" as const, reason };
    if ((await records.compareAndSet(key, cutoverRecord, cancelled, current.revision)) !== null) return;
  }
  throw new Refusal(409, "PIP-003", `pipeline ${name} was changed by other requests in between`, "Send the request again.");
}
