import { ReplyError, type Reply } from "@sluice/redis";
import { Halt, Retryable } from "@sluice/runtime";
import { repairedKey } from "@sluice/wire";
import { destinationFault, markFault } from "../apply/standalone-destination.ts";
import { verdictOf } from "../apply/verdict.ts";
import type { KeyRepair } from "../repair/key-repair.ts";
import { slotMark, watermark, type ClusterMarks, type MarkNames } from "./cluster-marks.ts";
import type { NodePool } from "./node-pool.ts";
import type { ClusterNode } from "./slot-map.ts";

/** Reads the lane's marks on one node: those of its slots there, and every watermark that stands by one of them. */
export async function readMarks(
  pool: NodePool,
  node: ClusterNode,
  slots: readonly number[],
  names: MarkNames,
  repair: KeyRepair,
  marks: ClusterMarks,
  repaired: Map<number, Reply>,
): Promise<void> {
  const connection = await pool.connection(node);
  const [endpoint, name] = [`destination ${names.group}`, `${names.group} (${node.name})`];
  /** Of a slot that moves away keys may be there already; they are asked for again where they are then. */
  const throwIfElsewhere = (what: string, cause: unknown): void => {
    if (!(cause instanceof ReplyError) || verdictOf(cause.message) !== "redirect") return;
    throw new Retryable("DST-003", endpoint, `${endpoint}: ${what} on ${node.name} can't be read`, { cause });
  };
  const read = async (kind: "slot" | "watermark", slot: number, key: string): Promise<void> => {
    const mark = await connection.call(["GET", key]).catch((cause: unknown) => {
      throwIfElsewhere("the marks", cause);
      throw markFault(name, key, cause);
    });
    marks.take(kind, slot, Buffer.isBuffer(mark) ? mark.toString("latin1") : null, `${key} on ${node.name}`);
  };
  const readRepaired = async (slot: number): Promise<void> => {
    const key = repairedKey(slotMark(names, slot));
    const reply = await connection.call(["HGETALL", key]).catch((cause: unknown) => {
      throwIfElsewhere("what was repaired", cause);
      const code = cause instanceof ReplyError ? cause.code : "";
      if (code === "NOPERM") return repair.refusesUnread(name);
      if (code === "WRONGTYPE") throw new Halt("DST-005", `${key} in ${name}, which tells what was repaired, is no hash`);
      throw destinationFault(name, cause);
    });
    if (Array.isArray(reply) && reply.length > 0) repaired.set(slot, reply);
  };
  const calls = slots.flatMap((slot) => [
    read("slot", slot, slotMark(names, slot)),
    read("watermark", slot, watermark(names, slot)),
    readRepaired(slot),
  ]);
  const results = await Promise.allSettled(calls);
  const failed = results.filter((result) => result.status === "rejected").map(({ reason }) => reason as unknown);
  if (failed.length > 0) throw failed.find((fault) => fault instanceof Halt) ?? failed[0];
}
