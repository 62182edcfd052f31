import { expect, test } from "vitest";
import { planWork, type Presence } from "./plan.ts";

const presence = (ingest: string[], writer: string[]): Presence => ({
  live: (service) => (service === "ingest" ? ingest : writer),
  awaited: () => new Set(),
  silentMs: () => null,
});
const wanted = { shards: ["s0"], lanes: ["main.s0.0"] };

test("two pipelines of one lane each go to two writers", () => {
  const { assignments, moves } = planWork(
    new Map([
      ["a", { wanted, assignment: null }],
      ["b", { wanted, assignment: null }],
    ]),
    presence(["i0"], ["w0", "w1"]),
  );
  expect(Object.fromEntries(assignments)).toEqual({
    a: { shards: { s0: "i0" }, lanes: { "main.s0.0": "w0" } },
    b: { shards: { s0: "i0" }, lanes: { "main.s0.0": "w1" } },
  });
  expect(moves.map(({ work }) => work)).toEqual(["a/s0", "b/s0", "a/main.s0.0", "b/main.s0.0"]);
});

test("a pipeline whose work stays is not written again", () => {
  const assignment = { shards: { s0: "i0" }, lanes: { "main.s0.0": "w0" } };
  const { assignments } = planWork(
    new Map([
      ["a", { wanted, assignment }],
      ["b", { wanted: { shards: [], lanes: [] }, assignment }],
    ]),
    presence(["i0"], ["w0"]),
  );
  expect(Object.fromEntries(assignments)).toEqual({ b: { shards: {}, lanes: {} } });
});
