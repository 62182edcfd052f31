import { expect, test } from "vitest";
import { samplePipeline } from "../view/pipeline-status.sample.ts";
import { DrainWatch } from "./drain-watch.ts";

const at = (sampledAt: number, drained: boolean) => samplePipeline({ sampledAt, drained });

test("a sample from before the watch, and one that may be, do not count", () => {
  const watch = new DrainWatch();
  expect(watch.see(at(100, true))).toBe(false);
  expect(watch.see(at(100, true))).toBe(false);
  expect(watch.see(at(101, true))).toBe(false);
  expect(watch.see(at(101, true))).toBe(false);
  expect(watch.see(at(102, true))).toBe(true);
});

test("the samples may be new and the lanes behind", () => {
  const watch = new DrainWatch();
  for (const sampledAt of [0, 1, 2, 3]) expect(watch.see(at(sampledAt, false))).toBe(false);
  expect(watch.see(at(3, true))).toBe(true);
});
