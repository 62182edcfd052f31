import { silentLog } from "@sluice/runtime";
import { attemptsKey, decodeBatch, SlotSet, SnapshotRows, temporaryKey, type Pipeline } from "@sluice/wire";
import { expect, test } from "vitest";
import { BacklogBound } from "../lanes/backlog-bound.ts";
import { SnapshotBatcher } from "../lanes/snapshot-batcher.ts";
import { FullCopy } from "./full-copy.ts";

const HEAD = { shard: "s0", epoch: 1, term: 1, replid: "a".repeat(40) };
/** An RDB without a checksum: a stream of a type that Redis 8.8 brought, and a string. */
const STREAM = "00 00 00 00 00 00 00 00 00 01 0167 00 00 00 00 00 02".concat("00".repeat(32), "00 00 00 00 00");
const RDB = Buffer.concat([
  Buffer.from("REDIS0013"),
  Buffer.from(`1b 0161 ${STREAM} 00 0162 0163 ff ${"00".repeat(8)}`.replaceAll(" ", ""), "hex"),
]);

function copied(unknown: Pipeline["source"]["unknown"], rdb = RDB): { keys: string[]; warnings: string[] } {
  const warnings: string[] = [];
  const log = Object.assign(silentLog(), { warn: (_: unknown, text: string) => warnings.push(text) });
  const batcher = new SnapshotBatcher(HEAD, 0, 100_000, new BacklogBound());
  const copy = new FullCopy([batcher], SlotSet.parse("0-16383"), { shard: "s0", unknown, log });
  copy.transfer.push(Buffer.concat([Buffer.from(`$${rdb.length}\r\n`), rdb]));
  copy.finish();
  const keys: string[] = [];
  for (let taken = batcher.take(); taken !== null; taken = batcher.take()) {
    const { rows, body } = decodeBatch(taken.message);
    if (rows instanceof SnapshotRows && rows.count > 0) keys.push(body.toString("latin1"));
    batcher.stored();
  }
  return { keys, warnings };
}

// Mutation: full-copy.ts, `unknown` is not handed on.
test("loud: a value of an unknown type halts with its key, or is left out with `unknown: skip` and said", () => {
  expect(() => copied("halt")).toThrow(/type 27 is of a later RDB version.*a/);
  expect(copied("skip")).toEqual({
    keys: ["b\u0001c"],
    warnings: [
      expect.stringContaining("key a, a stream with released entries"),
      expect.stringContaining("left out of the copy"),
    ],
  });
});

// Mutation: full-copy.ts, `#laneOf` without `isTemporaryKey`: what follows of the value is put behind nothing, and half of it takes its key's place.
test("what another pipeline is building in the source is copied, what else it keeps there is not", () => {
  const built = temporaryKey("06S", "other", "main", "s0", 0, "w1-abc-1");
  const notes = attemptsKey("06S", "other", "main", "s0", 0);
  const entry = (key: string): Buffer => Buffer.from(`\0${String.fromCharCode(key.length)}${key}\x01v`, "latin1");
  const end = Buffer.concat([Buffer.of(255), Buffer.alloc(8)]);
  const rdb = Buffer.concat([Buffer.from("REDIS0009"), entry(notes), entry(built), entry("a"), end]);
  expect(copied("halt", rdb).keys.join("")).toBe(`${built}\x01va\x01v`);
});
