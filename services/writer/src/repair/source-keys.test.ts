import { expect, test } from "vitest";
import { offsetIn } from "./source-keys.ts";

const history = { epoch: 1, replid: "a".repeat(40), storedOffset: 500 };
const fields = (changed: Readonly<Record<string, string>>): Map<string, string> =>
  new Map(Object.entries({ role: "master", master_replid: history.replid, master_repl_offset: "700", ...changed }));

test.each<readonly [string, Readonly<Record<string, string>>, number | RegExp]>([
  ["the same history", {}, 700],
  [
    "a promoted replica that goes on from it",
    { master_replid: "b", master_replid2: history.replid, second_repl_offset: "501" },
    700,
  ],
  [
    "a promoted replica that had not got all of it",
    { master_replid: "b", master_replid2: history.replid, second_repl_offset: "500" },
    /history/,
  ],
  ["another history", { master_replid: "b" }, /history/],
  ["a replica", { role: "slave" }, /slave/],
  ["no offset", { master_repl_offset: "many" }, /no offset/],
])("the offset of %s", (_name, changed, expected) => {
  const found = offsetIn(fields(changed), "run", history);
  if (typeof expected === "number") expect(found).toBe(expected);
  else expect(found).toMatch(expected);
});

test("a server before 4.0 has its run for a history", () => {
  const old = fields({});
  old.delete("master_replid");
  expect(offsetIn(old, history.replid, history)).toBe(700);
  expect(offsetIn(old, "another run", history)).toMatch(/history/);
});
