import { expect, test } from "vitest";
import { copyBars } from "./copy-bars.ts";

const copy = (id: string, isDone: boolean) => ({
  id,
  isDone,
  keys: 5,
  expectedKeys: 10,
  bytes: 1,
  expectedBytes: 2,
  fraction: 0.5,
});

test("the names are aligned, and only what goes on has more to say", () => {
  expect(copyBars([copy("s9", true), copy("s10", false)], (id) => ` · ${id} goes on`)).toEqual([
    "  s9   [########################] 100 % · 5 keys, copied",
    "  s10  [############------------]  50 % · 5 of 10 keys · 1 B of about 2 B read · s10 goes on",
  ]);
});

test("before the source sends", () => {
  const [line] = copyBars([{ ...copy("s0", false), keys: 0, bytes: 0, fraction: null }]);
  expect(line).toContain("  0 % · the source has not begun to send");
});

test("of many shards the first that are not copied yet are shown and the rest is counted", () => {
  const lines = copyBars(Array.from({ length: 40 }, (_, shard) => copy(`s${shard}`, shard < 20)));
  expect(lines).toHaveLength(13);
  expect(lines[0]).toContain("s20 ");
  expect(lines.at(-1)).toBe("  and 28 more shards, 20 of 40 are copied");
});

test("no shards, no lines", () => expect(copyBars([])).toEqual([]));
