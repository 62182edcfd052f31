import type { Position } from "@sluice/wire";
import { expect, test } from "vitest";
import { logPlace, type LogFacts } from "./log-place.ts";

const position: Position = { epoch: 3, copy: 1, phase: "live", shard: "s0", offset: 900, sequence: 50 };

function place(facts: Partial<LogFacts>): ReturnType<typeof logPlace> {
  const found = { epoch: 3, previous: 800, last: 950 };
  const tail = { epoch: 3, last: 2000, sequence: 90 };
  return logPlace({ position, reached: 900, found, tail, replid: null, ...facts });
}

const onwards = { kind: "read", from: 50, history: null, isBehind: false };
const again = (upTo: number, replid: string | null = null) => ({
  kind: "read",
  from: 1,
  history: { upTo, replid },
  isBehind: true,
});

test("a lane reads on from its position's message, in the history that it knows, if it does; so it does where that was trimmed", () => {
  expect(place({})).toEqual(onwards);
  expect(place({ replid: "r" })).toEqual({ ...onwards, history: { upTo: 900, replid: "r" } });
  expect(place({ found: null })).toEqual(onwards);
  expect(place({ tail: { epoch: 4, last: 0, sequence: 90 } })).toEqual(onwards);
});

// Mutations: log-place.ts, the found message's epoch not compared: whatever history fills the log again is taken for the lane's own; nor its
// `previous`: the lane takes for a gap what it only has to read from the log's begin.
test.each<[string, Partial<LogFacts>, number]>([
  ["ends before it", { found: null, tail: { epoch: 3, last: 500, sequence: 30 } }, 900],
  ["was filled again, not as far yet", { tail: { epoch: 3, last: 899, sequence: 90 } }, 900],
  ["was filled again beyond it, with other messages", { found: { epoch: 3, previous: 500, last: 800 } }, 900],
  ["was filled again, with a message that begins behind it", { found: { epoch: 3, previous: 950, last: 990 } }, 900],
  ["was filled again, and an earlier epoch has the sequence", { found: { epoch: 2, previous: 800, last: 950 } }, 900],
  ["was filled again, and another lane has the sequence", { found: "another's" }, 900],
  ["ends before the slot that is furthest", { reached: 2001 }, 2001],
])("case 60: from its begin where the log %s", (_, facts, upTo) => {
  expect(place(facts)).toEqual(again(upTo));
  expect(place({ ...facts, replid: "r" })).toEqual(again(upTo, "r"));
});

// Mutation: log-place.ts, the found message's epoch not compared: read from there, the later epoch's begin is missing, and a copy is asked for in vain.
test("case 61: a log that was made anew, or is of a later epoch only, is void; one of an earlier epoch leads nowhere", () => {
  expect(place({ tail: null, found: null })).toEqual({ kind: "void" });
  const later = { epoch: 4, last: 0, sequence: 90 };
  expect(place({ tail: later, found: null })).toEqual({ kind: "void" });
  expect(place({ tail: { ...later, last: 2000 }, found: { epoch: 4, previous: 800, last: 950 } })).toEqual({ kind: "void" });
  expect(place({ tail: { epoch: 2, last: 5000, sequence: 90 } })).toMatchObject({ kind: "lost" });
  const snap = { ...position, phase: "snap" as const };
  expect(place({ position: snap, tail: { epoch: 2, last: 5000, sequence: 90 } })).toMatchObject({ kind: "lost" });
  expect(place({ position: snap })).toEqual({ ...onwards, from: 1 });
});
