import { laneRecord, specRecord } from "@sluice/wire";
import { expect, test } from "vitest";
import { standingHalt } from "./standing-halt.ts";

function lane(code: string | null, revision: number) {
  const halt = code === null ? null : { code, message: "a command failed", remedy: "r", at: 1 };
  const stands = { instance: "w", epoch: 1, copy: 1, phase: "live", offset: 1, sequence: 1, keys: 0 };
  const counts = { units: 0, bytes: 0, transactions: 0, stale: 0 };
  return { value: laneRecord.parse({ ...stands, ...counts, retry: null, halt, at: 1 }), revision };
}

function spec(desired: "running" | "stopped", revision: number, startRevision?: number) {
  const pipeline = { name: "p", source: { url: "redis://a:1" }, destinations: [{ url: "redis://b:1" }] };
  return { value: specRecord.parse({ pipeline, desired, createdAt: 1, startRevision }), revision };
}

test("loud: a halt behind the mark stands until the pipeline is started after it", () => {
  for (const code of ["DST-004", "DST-007"]) {
    const halt = { name: "Halt", code, message: "a command failed" };
    expect(standingHalt(lane(code, 7), spec("running", 6))).toMatchObject(halt);
    expect(standingHalt(lane(code, 7), spec("running", 8))).toBeNull();
    // A stop is no start, and a writer that takes over a lane to drain it has nothing to go on for.
    expect(standingHalt(lane(code, 7), spec("stopped", 8))).toMatchObject(halt);
    expect(standingHalt(lane(code, 7), null)).toMatchObject(halt);
  }
});

// Mutation: standing-halt.ts, the revision of the spec in place of its last start.
test("an edit, or a cut-over that goes back to draining, is no start", () => {
  expect(standingHalt(lane("DST-004", 7), spec("running", 8, 6))).toMatchObject({ code: "DST-004" });
  expect(standingHalt(lane("DST-004", 7), spec("running", 12, 9))).toBeNull();
  // Begun by this very revision.
  expect(standingHalt(lane("DST-004", 7), spec("running", 8, 0))).toBeNull();
});

test("a halt in front of the mark stops nobody: the unit is met again", () => {
  for (const code of ["DST-002", "BUS-004", null]) expect(standingHalt(lane(code, 7), spec("running", 6))).toBeNull();
  expect(standingHalt(null, null)).toBeNull();
});
