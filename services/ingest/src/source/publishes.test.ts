import { keySlot } from "@sluice/redis";
import { laneOf } from "@sluice/wire";
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
