import { isBehindMark, laneRecord, recordFilter, shardRecord } from "@sluice/wire";
import type { DeskDeps } from "./desk-deps.ts";

/** Records asked for at a time: a large pipeline has some thousand lanes. */
const AT_A_TIME = 32;

/**
 * Whether a shard or a lane of a pipeline has halted that begins anew with any new spec, such as an edit writes. One that halted behind its mark
 * does so only with a start. Throws `Retryable` BUS-001.
 */
export async function hasLiftedHalt(name: string, { records }: Pick<DeskDeps, "records">): Promise<boolean> {
  const parts = (await records.keys(recordFilter.ofPipeline(name))).filter((key) =>
    ["shard", "lane"].includes(key.split(".")[2] ?? ""),
  );
  for (let at = 0; at < parts.length; at += AT_A_TIME) {
    const asked = parts.slice(at, at + AT_A_TIME).map(async (key) => {
      const schema = key.split(".")[2] === "lane" ? laneRecord : shardRecord;
      const halt = (await records.get(key, schema))?.value.halt ?? null;
      return halt !== null && !isBehindMark(halt);
    });
    if ((await Promise.all(asked)).includes(true)) return true;
  }
  return false;
}
