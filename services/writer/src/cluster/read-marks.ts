import { ReplyError, type Reply } from "@sluice/redis";
import { Halt, Retryable } from "@sluice/runtime";
import { repairedKey } from "@sluice/wire";
import { markFault } from "../apply/standalone-destination.ts";
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
  const endpoint = `destination ${names.group}`;
  const read = async (kind: "slot" | "watermark", slot: number, key: string): Promise<void> => {
    const mark = await connection.call(["GET", key]).catch((cause: unknown) => {
      // Of a slot that moves away a mark may be there already; it is asked for again where it is then.
      const isElsewhere = cause instanceof ReplyError && !cause.message.startsWith("WRONGTYPE");
      if (!isElsewhere) throw markFault(`${names.group} (${node.name})`, key, cause);
      throw new Retryable("DST-003", endpoint, `${endpoint}: the marks on ${node.name} can't be read`, { cause });
    });
    marks.take(kind, slot, Buffer.isBuffer(mark) ? mark.toString("latin1") : null, `${key} on ${node.name}`);
  };
  const readRepaired = async (slot: number): Promise<void> => {
    const reply = await connection.call(["HGETALL", repairedKey(slotMark(names, slot))]).catch((cause: unknown) => {
      if (cause instanceof ReplyError && cause.code === "NOPERM") return repair.refusesUnread(`${names.group} (${node.name})`);
      throw new Retryable("DST-003", endpoint, `${endpoint}: what was repaired on ${node.name} can't be read`, { cause });
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
