import { encodeCommand, keySlot } from "@sluice/redis";
import { ChangeFlag, ChangeRows } from "@sluice/wire";
import { expect, test } from "vitest";
import { SlotPlanner, type SlotUnit } from "./group-plan.ts";

const slotOf = (key: string): number => keySlot(Buffer.from(key));

/** The units that one source unit, made of these commands, is taken apart into. */
function plan(commands: readonly string[], { db = 0, flags = 0 } = {}): SlotUnit[] {
  const rows = new ChangeRows();
  const raw = commands.map((command) => encodeCommand(command.split(" ")));
  for (const [index, bytes] of raw.entries()) {
    const first = index === 0 ? ChangeFlag.first : 0;
    const last = index === raw.length - 1 ? ChangeFlag.last : 0;
    rows.add(bytes.length, 1, 10, 0, db, flags | first | last, 4);
  }
  const units: SlotUnit[] = [];
  new SlotPlanner((ms) => ms + 1000, "main.s0.0").each({ rows, body: Buffer.concat(raw), from: 0 }, (unit) => units.push(unit));
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
  expect(isDelicate("LPOP l")).toBe(false);
  expect(isDelicate("RPUSH l 1", "INCR {l}n", "RPUSH l 2")).toBe(false);
  expect(plan(["LPOP l"])[0]?.emptied).toEqual(["l"]);
});

test("an expiry is shifted, what does not carry one is left as it is", () => {
  expect(shown(plan(["SET a 1 PXAT 5000"], { flags: ChangeFlag.expiry })[0] as SlotUnit)).toEqual(["SET a 1 PXAT 6000"]);
});
