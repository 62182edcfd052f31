import {
  pipelineSchema,
  precheckRecord,
  recordKey,
  specRecord,
  writtenSpec,
  type PrecheckRequest,
  type WrittenSpec,
} from "@sluice/wire";
import { addEvents } from "../lifecycle/event-log.ts";
import { cancelCutover } from "../settle/request-cutover.ts";
import type { DeskDeps } from "./desk-deps.ts";
import { readPostedPipeline, type PostedPipeline } from "./posted-pipeline.ts";
import { Refusal } from "./refusal.ts";
import { refuseOther } from "./same-pipeline.ts";
import { sealed } from "./seal-pipeline.ts";
import { ATTEMPTS, changedInBetween, changeSpec, started } from "./spec-change.ts";

export interface CreateOptions {
  /** False: it is kept, and waits for its start. */
  readonly start: boolean;
  /** Checks whose warnings the operator knows of. */
  readonly ignore?: NonNullable<PrecheckRequest["ignore"]>;
}

export interface Created {
  readonly name: string;
  /** `resumed`: one of this name with the same endpoints was there, and shall run again. */
  readonly outcome: "created" | "resumed";
}

/**
 * Creates the pipeline of a request. Its prechecks and its start follow by themselves: see the state. Where one of the name exists with the
 * same endpoints, `start` makes it run again with what the request says otherwise (credentials included); one that never ran is
 * replaced. Throws `Refusal` 422 PIP-001, 409 PIP-003, PIP-009 when it is cut over; `Retryable` BUS-001.
 */
export async function createPipeline(body: unknown, options: CreateOptions, deps: DeskDeps): Promise<Created> {
  const posted = readPostedPipeline(body);
  const { name } = posted.pipeline;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const existing = await deps.records.get(recordKey.spec(name), writtenSpec);
    if (existing !== null) {
      await again(posted, options, deps);
      return { name, outcome: existing.value.isNew === true ? "created" : "resumed" };
    }
    if (await create(posted, options, deps)) return { name, outcome: "created" };
  }
  throw changedInBetween(name);
}

/** False when another request was faster. */
async function create(posted: PostedPipeline, { start, ignore }: CreateOptions, deps: DeskDeps): Promise<boolean> {
  const { name } = posted.pipeline;
  const { records, clock, log } = deps;
  const pipeline = sealed(posted.written, deps.secretKey);
  // What a request to settle its destinations left that broke off.
  await cancelCutover(name, records);
  // What an earlier pipeline of the name left whose deletion broke off.
  for (const key of [recordKey.state(name), recordKey.windows(name), recordKey.precheck(name)]) await records.remove(key);
  if (ignore !== undefined) await keepWaivers(name, ignore, deps);
  const desired = start ? ("checking" as const) : ("created" as const);
  const spec: WrittenSpec = { pipeline, desired, createdAt: clock.nowMs(), isNew: true };
  if ((await records.compareAndSet(recordKey.spec(name), specRecord, spec, 0)) === null) return false;
  log.info({ pipeline: name, desired }, "created");
  const text = start ? "created, to be started" : "created";
  await addEvents(records, name, [{ kind: "command", text }], clock.nowMs()).catch(() => undefined);
  return true;
}

/** The prechecks take them from the record, whoever runs them. */
export async function keepWaivers(
  name: string,
  ignore: NonNullable<PrecheckRequest["ignore"]>,
  { records, clock }: Pick<DeskDeps, "records" | "clock">,
): Promise<void> {
  const key = recordKey.precheck(name);
  const current = await records.get(key, precheckRecord);
  const report = current?.value.report ?? { at: clock.nowMs(), results: [], verdict: "fail" as const };
  const kept = (current?.value.ignore ?? []).filter(({ id }) => !ignore.some((waiver) => waiver.id === id));
  const value = {
    spec: current?.value.spec ?? 0,
    report,
    ignore: [...kept, ...ignore.map(({ id, reason }) => ({ id, reason }))],
    highestEpoch: current?.value.highestEpoch ?? 0,
  };
  if ((await records.compareAndSet(key, precheckRecord, value, current?.revision ?? 0)) === null) throw changedInBetween(name);
}

async function again(posted: PostedPipeline, { start, ignore }: CreateOptions, deps: DeskDeps): Promise<void> {
  const { name } = posted.pipeline;
  const pipeline = sealed(posted.written, deps.secretKey);
  await changeSpec(name, deps, start ? "start asked for, with its file" : "replaced before its first start", async (spec) => {
    const isNew = spec.isNew === true && spec.desired !== "cut-over";
    if (!start && !(isNew && spec.desired === "created")) {
      throw new Refusal(
        409,
        "PIP-003",
        `pipeline ${name} exists`,
        "Give the new one another name, or edit the one that exists.",
      );
    }
    if (!isNew) refuseOther(posted.pipeline, pipelineSchema.parse(spec.pipeline));
    await cancelCutover(name, deps.records);
    if (ignore !== undefined) await keepWaivers(name, ignore, deps);
    // Every instance makes its actors anew when it sees this record, those that halted among them.
    return start ? started({ ...spec, pipeline }) : { ...spec, pipeline };
  });
}
