import { keySlot } from "@sluice/redis";
import { decodeBatch, laneOf, SlotSet } from "@sluice/wire";
import { expect, test } from "vitest";
import { carried, setUp, stream, unitsOf } from "./change-reader.sample.ts";

const laneOfKey = (key: string): number => laneOf(keySlot(Buffer.from(key)), 16);

// Mutations seen to fail it, in change-reader.ts: `#publish` without the option; without the lane of its transaction.
test("messages travel where the pipeline says so, each in its place, and not otherwise", () => {
  const bytes = stream("SET a 1", "PUBLISH c m", "MULTI", "PUBLISH c m", "SET a 2", "SPUBLISH c n", "EXEC");
  const commands = (publishes: boolean) => carried(bytes, { publishes }).map((unit) => unit.commands);
  expect(commands(true)).toEqual([["SET a 1"], ["PUBLISH c m"], ["PUBLISH c m", "SET a 2", "SPUBLISH c n"]]);
  expect(commands(false)).toEqual([["SET a 1"], ["SET a 2"]]);
});

// Mutations seen to fail it, in change-reader.ts: a held message takes the lane of its channel; EXEC without what is held; no lane by the channel's slot.
test("with several lanes a message has its channel's, and inside a transaction that of the first key", () => {
  const lines = "PUBLISH c m|MULTI|PUBLISH c 1|PUBLISH d 2|SET a 1|PUBLISH c 3|EXEC|MULTI|PUBLISH d 4|PUBLISH c 5|EXEC";
  const bytes = stream(...lines.split("|"));
  const { reader, batchers } = setUp({ lanes: 16, publishes: true });
  reader.push(bytes);
  expect(reader.boundary).toBe(bytes.length);
  const units = unitsOf(batchers).toSorted((one, other) => one.end - other.end);
  expect(units.map(({ lane, commands }) => [lane, commands])).toEqual([
    [laneOfKey("c"), ["PUBLISH c m"]],
    [laneOfKey("a"), ["PUBLISH c 1", "PUBLISH d 2", "SET a 1", "PUBLISH c 3"]],
    [laneOfKey("d"), ["PUBLISH d 4", "PUBLISH c 5"]],
  ]);
  expect(new Set(["a", "c", "d"].map(laneOfKey)).size).toBe(3);
});

// Mutation seen to fail it: change-reader.ts, `#beginTransaction` adds what was held although the lane has the transaction already.
test("what a lane holds already is not published again", () => {
  const bytes = stream("PUBLISH c m", "MULTI", "PUBLISH c 1", "SET a 1", "EXEC", "SET a 2");
  const end = stream("PUBLISH c m", "MULTI", "PUBLISH c 1", "SET a 1", "EXEC").length;
  const { reader, batchers } = setUp({ lanes: 16, publishes: true, tails: Array.from({ length: 16 }, () => end) });
  reader.push(bytes);
  expect(unitsOf(batchers).flatMap(({ commands }) => commands)).toEqual(["SET a 2"]);
});

// Mutation seen to fail it: held-publishes.ts, without MOST_BYTES.
test("loud: a transaction that begins with more messages than may wait halts its shard", () => {
  const { reader } = setUp({ lanes: 16, publishes: true });
  const message = Buffer.from("m".repeat(1024 * 1024)).toString();
  reader.push(stream("MULTI"));
  const push = (): void => {
    for (let count = 0; count < 17; count++) reader.push(stream(`PUBLISH c ${message}`));
  };
  expect(push).toThrow(/a transaction of many messages/);
});

// Mutations seen to fail it, in change-reader.ts: a message inside a transaction with its channel's slot; `#slotOfChannel` without a slot of the shard's own.
test("a message's slot lies in its lane, so that a cluster takes it where a filter leaves nothing else of its transaction", () => {
  const lines = "MULTI|SET a 1|PUBLISH c 1|EXEC|MULTI|PUBLISH c 2|SET a 2|EXEC|MULTI|PUBLISH d 3|PUBLISH c 4|EXEC|PUBLISH d 5";
  const rowsOf = (slots: SlotSet): [lane: number, slot: number][] => {
    const { reader, batchers } = setUp({ lanes: 16, publishes: true, slots });
    reader.push(stream(...lines.split("|")));
    return batchers.flatMap((batcher, lane) => {
      const closed = batcher.take();
      const rows = closed === null ? null : decodeBatch(closed.message).rows;
      return rows === null ? [] : [...rows.slots.subarray(0, rows.count)].map((slot): [number, number] => [lane, slot]);
    });
  };
  const all = rowsOf(SlotSet.all());
  expect(all.map(([, slot]) => laneOf(slot, 16))).toEqual(all.map(([lane]) => lane));
  const first = SlotSet.parse("0-10");
  expect(rowsOf(first).filter(([lane, slot]) => lane !== 0 || !first.has(slot))).toEqual([]);
});
