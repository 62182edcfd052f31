import { recordKey, stateRecord, type WrittenSpec } from "@sluice/wire";
import { cancelCutover } from "../settle/request-cutover.ts";
import type { DeskDeps } from "./desk-deps.ts";
import { changeSpec, notNow, wished, type Commanded } from "./spec-change.ts";

/**
 * Makes a pipeline stop: its ingest at once, its lanes when they have applied what is stored. A cut-over is taken back, unless it
 * has begun to settle: then there is nothing to stop. One that has failed keeps what it failed with until it is resumed or deleted;
 * its lanes apply what is stored where they still can. `withinMs`: how long they may take, also for one that is stopping already; the
 * coordinator's own limit where it is absent. Throws `Refusal` 404 PIP-002; `Retryable` BUS-001.
 */
export async function stopPipeline(name: string, deps: DeskDeps, withinMs?: number): Promise<Commanded> {
  return changeSpec(name, deps, "stop asked for", async (spec) => {
    // What is cut over, or nearly, has stopped for good.
    if (spec.desired === "cut-over") return null;
    await cancelCutover(name, deps.records);
    if (spec.desired === "stopped" && !(await isToldAnew(name, spec, deps, withinMs))) return null;
    // What it stopped for stays, as that a full copy is all that it was for.
    const next = spec.desired === "stopped" ? spec : wished(spec, "stopped");
    return { ...next, ...(withinMs === undefined ? {} : { drainMs: withinMs }) };
  });
}

/** It is not stopped yet, and shall take another time than it was given. */
async function isToldAnew(name: string, spec: WrittenSpec, { records }: DeskDeps, withinMs?: number): Promise<boolean> {
  if (withinMs === undefined || withinMs === spec.drainMs) return false;
  return (await records.get(recordKey.state(name), stateRecord))?.value.state !== "stopped";
}

/**
 * Makes the lanes of a pipeline stop where they are, and ingest go on: what the source sends is stored, as far as the stream's limits
 * allow, so that nothing has to be copied anew after a pause. Throws `Refusal` 404 PIP-002, 409 PIP-013; `Retryable` BUS-001.
 */
export async function pausePipeline(name: string, deps: DeskDeps): Promise<Commanded> {
  return changeSpec(name, deps, "pause asked for", async (spec) => {
    if (spec.desired === "paused") return null;
    if (spec.desired !== "running")
      throw notNow(name, spec, "only one that runs can be paused", `See \`sluice status ${name}\`.`);
    // A cut-over waits for lanes that apply.
    await cancelCutover(name, deps.records);
    return wished(spec, "paused");
  });
}
