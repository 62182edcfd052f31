import type { Records } from "@sluice/bus";
import { codes, Retryable } from "@sluice/runtime";
import {
  epochRecord,
  expiryGraceMs,
  recordKey,
  topologyRecord,
  windowsRecord,
  type HaltRecord,
  type Pipeline,
} from "@sluice/wire";
import { isTooLong } from "../desk/resume-outcome.ts";
import { formatSpan } from "./format-span.ts";

const ATTEMPTS = 10;

/**
 * To be called before a pipeline runs whose prechecks came first: whoever asked for its start may have done so long ago. Where nothing was
 * applied for longer than the expiries in its destinations bear, every shard is made to copy anew; one that never copies fails with what is
 * answered. `nowMs`: wall clock. Throws `Retryable` BUS-001.
 */
export async function copyAfterRest(
  name: string,
  pipeline: Pipeline,
  records: Pick<Records, "get" | "compareAndSet">,
  nowMs: number,
): Promise<HaltRecord | null> {
  const idleMs = (await records.get(recordKey.windows(name), windowsRecord))?.value.idleMs ?? 0;
  if (!isTooLong(idleMs, expiryGraceMs(pipeline))) return null;
  if (pipeline.mode === "changes") {
    const message = `pipeline ${name} can't continue, and with \`mode: changes\` nothing is copied: it applied nothing for ${formatSpan(idleMs)}`;
    return { code: "SRC-019", message, remedy: codes["SRC-019"].remedy, at: nowMs };
  }
  const key = recordKey.topology(name);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const current = await records.get(key, topologyRecord);
    if (current === null) return null;
    const epoch = (await records.get(recordKey.epoch(name), epochRecord))?.value.epoch ?? 0;
    const shards = current.value.shards.map((shard) => ({ ...shard, floor: Math.max(shard.floor, epoch) }));
    if ((await records.compareAndSet(key, topologyRecord, { ...current.value, shards }, current.revision)) !== null)
      return null;
  }
  throw new Retryable("BUS-001", "bus", `the topology of ${name} was changed by others ${ATTEMPTS} times in a row`);
}
