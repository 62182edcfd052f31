import { expect, test } from "vitest";
import { NewsWatch } from "./news.ts";
import type { KnownPipeline } from "./pipeline-book.ts";
import type { LaneFacts } from "./state.ts";

const lane = (label: string, keptKeys?: number): LaneFacts => ({
  label,
  owner: "w",
  seen: { phase: "snap", epoch: 1, retry: null, halt: null, ...(keptKeys === undefined ? {} : { keptKeys }) },
  lagSeconds: null,
});

// Mutation seen to fail it: news.ts, `keptIn` without asking whether a lane has told it yet.
test("how many keys a group keeps is told once, when all its lanes know it", () => {
  const watch = new NewsWatch({ events: null } as KnownPipeline);
  const told = (...lanes: LaneFacts[]) => watch.take({ shards: [], lanes, watches: [] }).map(({ text }) => text);
  expect(told(lane("main.s0.0", 3), lane("main.s0.1"), lane("other.s0.0"))).toEqual([]);
  const all = [lane("main.s0.0", 3), lane("main.s0.1", 4), lane("other.s0.0")];
  expect(told(...all)).toEqual(["7 keys that stood in main before the first copy are kept: nothing is ever written to them"]);
  expect(told(...all)).toEqual([]);
});
