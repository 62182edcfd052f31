import { codes } from "@sluice/runtime";
import { recordKey, specRecord, withLastStart, writtenSpec, type WrittenSpec } from "@sluice/wire";
import { addEvents } from "../lifecycle/event-log.ts";
import type { DeskDeps } from "./desk-deps.ts";
import { Refusal } from "./refusal.ts";

/** Another request changed the same record in between so often. */
export const ATTEMPTS = 5;

/** A pipeline as a command left it. */
export interface Commanded {
  readonly name: string;
  readonly desired: WrittenSpec["desired"];
  /** False where it was so already. */
  readonly isChanged: boolean;
}

export function isPipelineName(name: string): boolean {
  return /^[a-z0-9-]{1,32}$/.test(name);
}

export function noSuchPipeline(name: string): Refusal {
  return new Refusal(404, "PIP-002", `there is no pipeline ${JSON.stringify(name.slice(0, 40))}`);
}

export function changedInBetween(name: string): Refusal {
  return new Refusal(409, "PIP-003", `pipeline ${name} was changed by other requests in between`, "Send the request again.");
}

/** The command can't be done to a pipeline that is `desired`. */
export function notNow(name: string, { desired }: Pick<WrittenSpec, "desired">, what: string, instead: string): Refusal {
  if (desired === "cut-over") return new Refusal(409, "PIP-009", `pipeline ${name} is cut over`, codes["PIP-009"].remedy);
  return new Refusal(
    409,
    "PIP-013",
    `pipeline ${name} is ${desired === "checking" ? "being checked" : desired}: ${what}`,
    instead,
  );
}

/**
 * Changes the spec of a pipeline by compare-and-set and tells of it among the events. `change` gets the spec as it is, and is asked again
 * when somebody else wrote it in between; null: it is as it shall be. `written`: what makes the record of it. Throws `Refusal` 404 PIP-002, 409 PIP-003; `Retryable` BUS-001.
 */
export async function changeSpec(
  name: string,
  { records, clock, log }: Pick<DeskDeps, "records" | "clock" | "log">,
  what: string,
  change: (spec: WrittenSpec, revision: number) => WrittenSpec | null | Promise<WrittenSpec | null>,
  written: typeof withLastStart = withLastStart,
): Promise<Commanded> {
  if (!isPipelineName(name)) throw noSuchPipeline(name);
  const key = recordKey.spec(name);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const existing = await records.get(key, writtenSpec);
    if (existing === null) throw noSuchPipeline(name);
    const next = await change(existing.value, existing.revision);
    if (next === null) return { name, desired: existing.value.desired, isChanged: false };
    if ((await records.compareAndSet(key, specRecord, written(next, existing), existing.revision)) === null) continue;
    log.info({ pipeline: name, desired: next.desired }, what);
    await addEvents(records, name, [{ kind: "command", text: what }], clock.nowMs()).catch(() => undefined);
    return { name, desired: next.desired, isChanged: true };
  }
  throw changedInBetween(name);
}

/** The spec with another wish, and without what spoke of the one before. */
export function wished(spec: WrittenSpec, desired: WrittenSpec["desired"]): WrittenSpec {
  const { failure: _, isCopied: __, drainMs: ___, ...rest } = spec;
  return { ...rest, desired };
}

/** The spec of a pipeline that the operator starts: its prechecks come first where it never ran, or was edited since. */
export function started(spec: WrittenSpec): WrittenSpec {
  const next = wished(spec, spec.isNew === true || spec.isEdited === true ? "checking" : "running");
  return { ...next, starts: (spec.starts ?? 0) + 1 };
}
