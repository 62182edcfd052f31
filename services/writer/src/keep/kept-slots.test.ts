import { formatMark, SlotSet, type Position } from "@sluice/wire";
import { expect, test } from "vitest";
import { ClusterMarks, slotMark } from "../cluster/cluster-marks.ts";
import type { GroupSender } from "../cluster/group-sender.ts";
import type { NodePool } from "../cluster/node-pool.ts";
import { SlotKeys, type Whereabouts } from "../cluster/slot-keys.ts";
import { KeptSlots } from "./kept-slots.ts";
import { RecordBook } from "./record-book.sample.ts";

const NAMES = { pipeline: "p", group: "main", shard: "s0", lane: 0 };
const NODE = { name: "n:1", host: "n", port: 1 };
const MAP = { ownerOf: () => NODE };
const live: Position = { epoch: 1, copy: 1, phase: "live", shard: "s0", offset: 9, sequence: 3 };

/** A cluster of one node whose slots hold `held` keys each, and what it was asked. */
function cluster(slots: SlotSet, held: number, marks: Readonly<Record<string, string>> = {}) {
  const asked: string[] = [];
  const call = async (command: readonly (string | number | Buffer)[]) => {
    asked.push(String(command[1]));
    if (command[0] === "GET")
      return Promise.resolve(marks[String(command[1])] === undefined ? null : Buffer.from(marks[String(command[1])]!));
    if (command[1] === "COUNTKEYSINSLOT") return Promise.resolve(held);
    if (command[1] !== "GETKEYSINSLOT") return Promise.resolve(1);
    return Promise.resolve(Array.from({ length: held }, (_, index) => Buffer.from(`${String(command[2])}:${index}`)));
  };
  const pool = {
    connection: async () => Promise.resolve({ call }),
    call: async (_node: unknown, command: readonly (string | number | Buffer)[]) => call(command),
  } as unknown as NodePool;
  const where = { map: MAP, leaving: new Map() } as unknown as Whereabouts;
  const keys = Object.assign(new SlotKeys(pool, slots), { look: async () => Promise.resolve(where), changed: () => [] });
  const sender = { map: MAP, refresh: async () => Promise.resolve() } as unknown as GroupSender;
  const kept = (names: number) => new KeptSlots(NAMES, slots, pool, new RecordBook().keeping({ names, bytes: 1e6 }));
  return { asked, kept, takeDown: async (names: number) => kept(names).takeDown(sender, keys) };
}

const lists = (asked: readonly string[]): number => asked.filter((one) => one === "GETKEYSINSLOT").length;

// Mutations seen to fail it: kept-slots.ts, `#requireFew` only when all slots are asked; slot-keys.ts, `#on` without `few`.
test("too many names halt before they are all in memory", async () => {
  const many = cluster(SlotSet.parse("0-4095"), 2);
  await expect(many.takeDown(100)).rejects.toMatchObject({ code: "DST-023", name: "Halt" });
  expect(lists(many.asked)).toBeLessThan(1_024);
  const large = cluster(SlotSet.parse("0-3"), 5_000);
  await expect(large.takeDown(100)).rejects.toMatchObject({ code: "DST-023", name: "Halt" });
  expect(lists(large.asked)).toBe(0);
  await cluster(SlotSet.parse("0-3"), 2).takeDown(8);
});

// Mutation seen to fail it: kept-slots.ts, `requireBeside` that believes the mark it was told of: an emptied destination halts.
test("names that are missing beside a mark halt only while the mark still stands", async () => {
  const slots = SlotSet.parse("7");
  const marks = new ClusterMarks(slots);
  marks.take("slot", 7, formatMark(live), "here");
  const key = slotMark(NAMES, 7);
  const emptied = cluster(slots, 0).kept(9).requireBeside(marks, MAP);
  await expect(emptied).rejects.toMatchObject({ code: "DST-008", name: "Retryable" });
  const moved = cluster(slots, 0, { [key]: formatMark({ ...live, epoch: 2 }) })
    .kept(9)
    .requireBeside(marks, MAP);
  await expect(moved).rejects.toMatchObject({ code: "DST-008" });
  const standing = cluster(slots, 0, { [key]: formatMark(live) })
    .kept(9)
    .requireBeside(marks, MAP);
  await expect(standing).rejects.toMatchObject({ code: "DST-022", name: "Halt" });
  await cluster(slots, 0).kept(9).requireBeside(new ClusterMarks(slots), MAP);
});
