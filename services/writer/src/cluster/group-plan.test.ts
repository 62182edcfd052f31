import { encodeCommand, keySlot } from "@sluice/redis";
import { ChangeFlag, ChangeRows } from "@sluice/wire";
import { expect, test } from "vitest";
import { commandName, SlotGroup, type GroupCommand } from "./apply-script.ts";
import { SlotPlanner, type SlotUnit } from "./group-plan.ts";

const slotOf = (key: string): number => keySlot(Buffer.from(key));

/** The units that one source unit, made of these commands, is taken apart into. */
function plan(commands: readonly string[], { db = 0, flags = 0, loose = [] as string[], slot = 0 } = {}): SlotUnit[] {
  const rows = new ChangeRows();
  const raw = commands.map((command) => encodeCommand(command.split(" ")));
  for (const [index, bytes] of raw.entries()) {
    const first = index === 0 ? ChangeFlag.first : 0;
    const last = index === raw.length - 1 ? ChangeFlag.last : 0;
    rows.add(bytes.length, 1, 10, slot, db, flags | first | last, 4);
  }
  const units: SlotUnit[] = [];
  new SlotPlanner((ms) => ms + 1000, "main.s0.0").each(
    { rows, body: Buffer.concat(raw), from: 0 },
    (unit) => units.push(unit),
    (args) => loose.push(args.join(" ")),
  );
  return units;
}

const shown = (unit: SlotUnit): string[] =>
  unit.commands.map(({ buffer, start, end }) =>
    buffer
      .toString("latin1", start, end)
      .replace(/\$\d+\r\n|\r\n$/g, "")
      .replaceAll("\r\n", " "),
  );

test("DEL, UNLINK and MSET are taken apart by slot, each part with its own keys", () => {
  const units = plan(["MSET a 1 b 2 a{b} 3"]);
  expect(new Map(units.map((unit) => [unit.slot, shown(unit)]))).toEqual(
    new Map([
      [slotOf("a"), ["MSET a 1"]],
      [slotOf("b"), ["MSET b 2 a{b} 3"]],
    ]),
  );
  expect(plan(["DEL a b"]).map(shown)).toEqual([["DEL a"], ["DEL b"]]);
});

test("unit-never-split: any other unit on several slots, or on a whole keyspace, is refused", () => {
  for (const commands of [["RENAME a b"], ["SET a 1", "SET b 1"], ["DEL a b", "SET a 1"]]) {
    expect(() => plan(commands)).toThrow(expect.objectContaining({ code: "PIP-004" }));
  }
  expect(() => plan(["FLUSHALL"], { flags: ChangeFlag.barrier })).toThrow(expect.objectContaining({ code: "PIP-004" }));
  expect(() => plan(["SET a 1"], { db: 3 })).toThrow(expect.objectContaining({ code: "DST-010" }));
});

test("a unit that may write a key again which it has removed, or that runs a script, goes by no script", () => {
  const isDelicate = (...commands: string[]): boolean | undefined => plan(commands)[0]?.isDelicate;
  expect(isDelicate("LPOP l", "RPUSH l 1")).toBe(true);
  expect(isDelicate("EVAL x 1 a")).toBe(true);
  expect(isDelicate("XREADGROUP GROUP g c COUNT 1 STREAMS s 1-1")).toBe(true);
  expect(isDelicate("LPOP l")).toBe(false);
  expect(isDelicate("RPUSH l 1", "INCR {l}n", "RPUSH l 2")).toBe(false);
  expect(plan(["LPOP l"])[0]?.emptied).toEqual(["l"]);
});

test("an expiry is shifted, what does not carry one is left as it is", () => {
  expect(shown(plan(["SET a 1 PXAT 5000"], { flags: ChangeFlag.expiry })[0] as SlotUnit)).toEqual(["SET a 1 PXAT 6000"]);
});

// Mutations seen to fail it: apply-script.ts, `write`, `plainCommand` and `add` without `rest`; group-plan.ts, the header taken for the first piece.
test("the expiry of a large command is shifted without a copy of it, and both ways to send it have all its pieces", () => {
  const value = "v".repeat(2 ** 20);
  const [unit] = plan([`SET a ${value} PXAT 5000 NX`], { flags: ChangeFlag.expiry });
  const command = unit?.commands[0] as GroupCommand;
  const group = new SlotGroup(slotOf("a"), "mark", null, "next");
  group.add(command);
  const expected = encodeCommand(["SET", "a", value, "PXAT", "6000", "NX"]);
  expect(Buffer.concat(group.plain().flat()).equals(expected)).toBe(true);
  const target = Buffer.alloc(group.encodedBytes);
  const written = target.subarray(0, group.write(target, 0));
  expect(written.subarray(-(expected.length - 4)).equals(expected.subarray(4))).toBe(true);
  expect([commandName(command), command.rest?.length]).toEqual(["SET", 3]);
});

// Mutations seen to fail it, in group-plan.ts: `#commandOf` without `withoutKeys`; without `keys`.
test("a command that is in no table goes to the slot of the keys that travel with it, without them", () => {
  const [unit] = plan(["SLUICE.KEYED 1,3 FOO.STORE {a}1 x {a}2"], { flags: ChangeFlag.keyed });
  expect([unit?.slot, unit?.keys.map(String), unit?.isDelicate]).toEqual([slotOf("a"), ["{a}1", "{a}2"], false]);
  expect(shown(unit as SlotUnit)).toEqual(["FOO.STORE {a}1 x {a}2"]);
  expect(unit?.commands.map(({ argc, keys }) => [argc, keys?.map(String)])).toEqual([[4, ["{a}1", "{a}2"]]]);
  expect(plan(["SLUICE.KEYED-ALONE 1 FOO.PUSH a"], { flags: ChangeFlag.keyed })[0]?.isDelicate).toBe(true);
  expect(() => plan(["SLUICE.KEYED 1,2 FOO.MOVE a b"], { flags: ChangeFlag.keyed })).toThrow(
    expect.objectContaining({ code: "PIP-004" }),
  );
});

// Mutations seen to fail it, in group-plan.ts: a message begins its unit's slot; no `messageSlot`; its database is checked.
test("a message goes with the keys of its unit, and alone with the slot that its row says", () => {
  const [unit, ...others] = plan(["PUBLISH c 1", "SET a 1", "PUBLISH d 2"], { slot: 77 });
  expect([unit?.slot, unit?.keys.map(String), others]).toEqual([slotOf("a"), ["a"], []]);
  expect(shown(unit as SlotUnit)).toEqual(["PUBLISH c 1", "SET a 1", "PUBLISH d 2"]);
  expect(plan(["PUBLISH c 1"], { db: 3, slot: 77 }).map(({ slot, keys }) => [slot, keys])).toEqual([[77, []]]);
});

// Mutations seen to fail it, in group-plan.ts: FUNCTION to `#checkRow`; a unit that ends with one is not taken.
test("functions and scripts are for every node, wherever they stand in a unit", () => {
  const loose: string[] = [];
  const units = plan(["FUNCTION FLUSH", "SET a 1", "SCRIPT LOAD x"], { db: 0, loose });
  expect([units.flatMap(shown), loose]).toEqual([["SET a 1"], ["FUNCTION FLUSH", "SCRIPT LOAD x"]]);
  expect(plan(["FUNCTION DELETE l"], { flags: ChangeFlag.barrier, db: 3, loose })).toEqual([]);
  expect(loose.at(-1)).toBe("FUNCTION DELETE l");
});

// Mutation: group-plan.ts, the keys of a command are spread into one call's arguments.
test("a command on 130 000 keys of one slot is planned, and a transaction of as many deletions", () => {
  const keys = Array.from({ length: 130_000 }, (_, n) => `{a}${n}`);
  expect(plan([`DEL ${keys.join(" ")}`])).toHaveLength(1);
  const [unit, ...others] = plan(keys.map((key) => `DEL ${key}`));
  expect([unit?.commands.length, unit?.emptied.length, others]).toEqual([130_000, 130_000, []]);
});
