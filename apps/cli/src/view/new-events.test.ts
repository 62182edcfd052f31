import { expect, test } from "vitest";
import { NewEvents } from "./new-events.ts";
import { samplePipeline } from "./pipeline-status.sample.ts";

test("each event is news once, also after older ones have been dropped; what was before is none", () => {
  const news = new NewEvents(100);
  const take = (...events: [at: number, text: string][]) =>
    news.take(samplePipeline({ events: events.map(([at, text]) => ({ at, text })) }));
  expect(take([99, "old"])).toEqual([]);
  expect(take([99, "old"], [100, "moved"], [100, "moved \u001b[1m"])).toEqual(["event: moved", "event: moved \\x1b[1m"]);
  expect(take([100, "moved \u001b[1m"], [120, "moved"])).toEqual(["event: moved"]);
  expect(take([120, "moved"])).toEqual([]);
});
