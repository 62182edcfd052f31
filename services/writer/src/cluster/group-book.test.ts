import { CommandFramer, encodeCommand, keySlot } from "@sluice/redis";
import { ChangeFlag, ChangeRows, SlotSet, type Position } from "@sluice/wire";
import { expect, test } from "vitest";
import type { SlotGroup } from "./apply-script.ts";
import { ClusterMarks } from "./cluster-marks.ts";
import { GroupBook } from "./group-book.ts";
import { SlotPlanner } from "./group-plan.ts";

const NAMES = { pipeline: "p", group: "main", shard: "s0", lane: 0 };
const BASE: Position = { epoch: 1, copy: 1, phase: "live", shard: "s0", offset: 0, sequence: 1 };
const SLOT = keySlot(Buffer.from("a"));

/** What units of these commands, of one source unit each, are grouped into. */
function groupsOf(...units: readonly (readonly (readonly string[])[])[]): readonly SlotGroup[] {
  const marks = new ClusterMarks(SlotSet.all());
  const book = new GroupBook(NAMES, marks);
  const planner = new SlotPlanner((ms) => ms + 1, "main.s0.0");
  for (const commands of units) {
    const rows = new ChangeRows();
    const raw = commands.map((args) => encodeCommand(args));
    for (const [index, bytes] of raw.entries()) {
      const edges = (index === 0 ? ChangeFlag.first : 0) | (index === raw.length - 1 ? ChangeFlag.last : 0);
      const expiry = commands[index]?.[0] === "RESTORE" ? ChangeFlag.expiry : 0;
      rows.add(bytes.length, 1, 10, SLOT, 0, edges | expiry, 4);
    }
    const slice = { rows, body: Buffer.concat(raw), from: 0 };
    planner.each(
      slice,
      (unit) => book.add(unit, 10),
      () => undefined,
    );
  }
  return book.close(BASE);
}

/** KEYS of a group's call of the script, behind the mark. */
function declaredBy(group: SlotGroup): string[] {
  const target = Buffer.alloc(group.encodedBytes);
  const framer = new CommandFramer({}, target.subarray(0, group.write(target, 0)));
  framer.next();
  const args = Array.from({ length: framer.argc }, (_, at) =>
    framer.buffer.toString("latin1", framer.argStart(at), framer.argEnd(at)),
  );
  expect([args[0], args[3]]).toEqual(["EVALSHA", group.markKey]);
  return args.slice(4, 3 + Number(args[2]));
}

// Mutations: group-book.ts, `add` without `addKey`; apply-script.ts, `write` that counts the mark alone, or leaves the last key to ARGV.
test("every key that a group's commands name is declared to the script: on a migrating slot what is not is lost without a word", () => {
  const [group, ...others] = groupsOf(
    [["SET", "a", "1"]],
    [
      ["RENAME", "{a}from", "{a}to"],
      ["ZUNIONSTORE", "{a}sum", "2", "{a}x", "{a}y"],
    ],
    [["MSET", "{a}1", "v", "{a}2", "v"]],
    [["XREADGROUP", "GROUP", "g", "c", "STREAMS", "{a}s", ">"]],
  );
  expect(declaredBy(group as SlotGroup)).toEqual(["a", "{a}from", "{a}to", "{a}sum", "{a}x", "{a}y", "{a}1", "{a}2"]);
  // It goes by a transaction.
  expect(others.map(({ isDelicate }) => isDelicate)).toEqual([true]);
});

// Mutation: group-book.ts, `add` counts what a command holds in its first piece alone.
test("a command that is too large to hold its node up with others gets a call of its own, also where its expiry is shifted in pieces", () => {
  const value = "v".repeat(2 ** 20);
  for (const large of [
    ["SET", "a", value],
    ["RESTORE", "a", "5000", value, "ABSTTL"],
  ]) {
    const groups = groupsOf([["SET", "a", "1"]], [large], [["SET", "a", "2"]]);
    expect(groups.map(({ commands }) => commands.length)).toEqual([1, 1, 1]);
    expect(groups.every(({ slot }) => slot === SLOT)).toBe(true);
  }
});
