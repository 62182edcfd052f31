import { expect, test } from "vitest";
import { Abilities } from "../rewrite/abilities.ts";
import { ORIGIN, rewritingFor } from "../rewrite/rewritten-stream.sample.ts";
import { sliceOf } from "../project/unit-slice.sample.ts";
import { wholeBatch } from "./source-lane.sample.ts";
import { keyedUnits, runOf } from "./unit-runs.ts";

// Mutation: unit-runs.ts, `isBarrier` by the unit's last row alone: what is repaired goes with the FLUSHALL, and is passed over behind it.
test("barrier-in-order: a transaction is a barrier wherever in it the command stands that speaks of whole databases", () => {
  const at = (line: string) => ({ db: 0, line });
  const slice = sliceOf(
    [at("FLUSHALL"), at("SET a 1")],
    [at("SET a 1"), at("SWAPDB 0 1"), at("SET b 1")],
    [at("SET a 1"), at("FLUSHDB")],
    [at("SET a 1"), at("SET b 1")],
    [at("FLUSHALL")],
  );
  const batch = wholeBatch({ replid: "r", previous: 100, last: 150, rows: slice.rows, body: slice.body });
  const units = keyedUnits([runOf({ slice, batch, sequence: 1 })]);
  expect(units.map(({ end, isBarrier }) => [end, isBarrier])).toEqual([
    [110, true],
    [120, true],
    [130, true],
    [140, false],
    [150, true],
  ]);
});

// Mutation: commands-of.ts, `placesOf` without the script that stands for COPY: it writes into another database than it runs in.
test("COPY into another database names the key there, also where a script stands for it", () => {
  const slice = sliceOf([{ db: 0, line: "COPY a b DB 3 REPLACE" }]);
  const batch = wholeBatch({ replid: "r", previous: 100, last: 110, rows: slice.rows, body: slice.body });
  const placesOf = (of: typeof slice) => keyedUnits([runOf({ slice: of, batch, sequence: 1 })]).map(({ places }) => places);
  expect(placesOf(slice)).toEqual([["0:a", "3:b"]]);
  const old = new Abilities({ version: 50_000, isValkey: false });
  const rewritten = rewritingFor(old, { count: 0, lines: [] }).rewrite(slice, ORIGIN);
  expect(rewritten).not.toBe(slice);
  expect(placesOf(rewritten)).toEqual([["0:a", "3:b"]]);
});
