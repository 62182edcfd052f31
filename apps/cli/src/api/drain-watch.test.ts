import { expect, test } from "vitest";
import type { PipelineStatus } from "@sluice/wire";
import { DrainWatch } from "./drain-watch.ts";

type Lane = PipelineStatus["lanes"][number];
type Look = Partial<Pick<Lane, "epoch" | "phase" | "lagSeconds">> & { at: number; source: number | null; applied: number[] };

/** A pipeline with one shard; its lanes have applied these offsets. */
function look({ at, source, applied, epoch = 1, phase = "live", lagSeconds = 0 }: Look): PipelineStatus {
  const lanes = applied.map((appliedOffset, lane) => ({ shard: "s0", lane, phase, epoch, lagSeconds, appliedOffset }));
  return { sampledAt: at, shards: [{ id: "s0", epoch: 1, sourceOffset: source }], lanes } as unknown as PipelineStatus;
}

/** A target that has seen as many samples as it needs before it takes one. */
function begun(): DrainWatch {
  const target = new DrainWatch();
  expect(target.see(look({ at: 1, source: 10, applied: [10, 10] }))).toBe(false);
  expect(target.see(look({ at: 2, source: 10, applied: [10, 10] }))).toBe(false);
  return target;
}

test("what the source writes after the second new sample does not count", () => {
  const target = begun();
  expect(target.see(look({ at: 3, source: 100, applied: [100, 99] }))).toBe(false);
  expect(target.see(look({ at: 4, source: 150, applied: [110, 99] }))).toBe(false);
  expect(target.see(look({ at: 5, source: 190, applied: [110, 100] }))).toBe(true);
});

test.each([
  ["a lane in its copy", { phase: "snap" as const }],
  ["a lane in another epoch", { epoch: 2 }],
  ["a lane of whose history there is no sample", { lagSeconds: null }],
])("%s is not drained, and no target is taken then", (_, fields) => {
  const target = begun();
  expect(target.see(look({ at: 3, source: 5, applied: [100, 100], ...fields }))).toBe(false);
  expect(target.see(look({ at: 4, source: 200, applied: [100, 100] }))).toBe(false);
  expect(target.see(look({ at: 5, source: 200, applied: [200, 200] }))).toBe(true);
});

test("while the source can't be asked it is not drained", () => {
  const target = begun();
  expect(target.see(look({ at: 3, source: null, applied: [100, 100] }))).toBe(false);
  expect(target.see(look({ at: 4, source: 100, applied: [100, 100] }))).toBe(true);
});

test("a pipeline without shards or lanes is not drained", () => {
  expect(begun().see(look({ at: 3, source: 0, applied: [] }))).toBe(false);
});
