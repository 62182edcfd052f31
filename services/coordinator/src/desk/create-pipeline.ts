import {
  pipelineSchema,
  recordKey,
  specRecord,
  withLastStart,
  writtenSpec,
  type PrecheckRequest,
  type WrittenSpec,
} from "@sluice/wire";
import { addEvents } from "../lifecycle/event-log.ts";
import { refuseUnknownChecks } from "../precheck/run-prechecks.ts";
import { clearLeft } from "./clear-left.ts";
import type { DeskDeps } from "./desk-deps.ts";
import { readPostedPipeline, type PostedPipeline } from "./posted-pipeline.ts";
import { Refusal } from "./refusal.ts";
import { refuseOther } from "./same-pipeline.ts";
import { sealed } from "./seal-pipeline.ts";
import { ATTEMPTS, changedInBetween, changeSpec } from "./spec-change.ts";
import { specToStart } from "./start-pipeline.ts";
import { keepWaivers } from "./waivers.ts";

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
 * replaced. Throws `Refusal` 422 PIP-001, API-001, 409 PIP-003, PIP-009 when it is cut over; `Retryable` BUS-001.
 */
export async function createPipeline(body: unknown, options: CreateOptions, deps: DeskDeps): Promise<Created> {
  const posted = readPostedPipeline(body);
  const { name } = posted.pipeline;
  refuseUnknownChecks(options);
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
  if ((await clearLeft(name, deps)) === "taken") return false;
  const desired = start ? ("checking" as const) : ("created" as const);
  const createdAt = clock.nowMs();
  // Who is first may say what is waived; its checks begin behind that.
  const first: WrittenSpec = { pipeline, desired: ignore === undefined ? desired : "created", createdAt, isNew: true };
  const revision = await records.compareAndSet(recordKey.spec(name), specRecord, first, 0);
  if (revision === null) return false;
  if (ignore !== undefined) await keepWaivers(name, ignore, deps);
  if (first.desired !== desired) {
    const next = withLastStart({ ...first, desired }, { value: first, revision });
    if ((await records.compareAndSet(recordKey.spec(name), specRecord, next, revision)) === null) throw changedInBetween(name);
  }
  log.info({ pipeline: name, desired }, "created");
  const text = start ? "created, to be started" : "created";
  await addEvents(records, name, [{ kind: "command", text }], clock.nowMs()).catch(() => undefined);
  return true;
}

async function again(posted: PostedPipeline, { start, ignore }: CreateOptions, deps: DeskDeps): Promise<void> {
  const { name } = posted.pipeline;
  const what = start ? "start asked for, with its file" : "replaced before its first start";
  await changeSpec(name, deps, what, async (spec, revision) => {
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
    if (ignore !== undefined) await keepWaivers(name, ignore, deps);
    if (start) return specToStart(name, spec, revision, deps, { copy: false, posted });
    return { ...spec, pipeline: sealed(posted.written, deps.secretKey) };
  });
}
