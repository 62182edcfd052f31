import { expect, test } from "vitest";
import { sampleLane, samplePipeline } from "./pipeline-status.sample.ts";
import { listTable, statusTable } from "./status-table.ts";

test("a pipeline: one line of state, a table of shards, a table of lanes", () => {
  expect(statusTable(samplePipeline(), 61_000).split("\n")).toEqual([
    "orders  synchronizing since 1 min 0 s",
    "",
    "stream 12 messages, 34 kB",
    "",
    "SHARD  INSTANCE  PHASE      EPOCH  TERM  SOURCE AT  STORED  COMMANDS  COPIED KEYS",
    "s0     ingest-1  streaming      1     1      5 200   5 100       700        1 000",
    "",
    "LANE       INSTANCE  PHASE  EPOCH  APPLIED    LAG         UNITS   KEYS",
    "main.s0.0  writer-1  live       1    5 000  200 B  0.3 s    600  1 000",
  ]);
});

test("a failed pipeline says the code, the place, what happened and what to do", () => {
  const halt = { code: "DST-004", message: "WRONGTYPE for key k\n", remedy: "Copy anew.", at: 5 };
  const text = statusTable(samplePipeline({ state: "failed", reason: "a lane halted", lanes: [sampleLane({ halt })] }), 1_000);
  expect(text).toContain("orders  failed since 0.0 s: a lane halted");
  expect(text).toContain("lane main.s0.0 stopped with DST-004: WRONGTYPE for key k\\x0a\nCopy anew.");
});

test("the list", () => {
  expect(listTable({ pipelines: [] })).toBe("no pipelines");
  expect(listTable({ pipelines: [{ name: "orders", state: "stopped" }] })).toBe("PIPELINE  STATE\norders    stopped");
});
