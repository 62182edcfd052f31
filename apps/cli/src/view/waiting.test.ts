import { expect, test } from "vitest";
import { samplePipeline, sampleLane } from "./pipeline-status.sample.ts";
import { waitingLines } from "./waiting.ts";

const wait = {
  endpoint: "destination main",
  kind: "destination" as const,
  reason: "refused\u0007",
  since: 0,
  secondsLeft: 680,
};

test("the time that is left, the least first; without a retry window, since when", () => {
  const waits = [wait, { ...wait, endpoint: "source s0", kind: "source" as const, secondsLeft: 5 }];
  expect(waitingLines(samplePipeline({ waits }), 0)).toEqual([
    "waits for source s0: 5.0 s left: refused\\x07",
    "waits for destination main: 11 min 20 s left: refused\\x07",
  ]);
  const retry = { endpoint: "source s0", since: 1_000, reason: "its turn", isTurn: true };
  expect(waitingLines(samplePipeline({ lanes: [sampleLane({ retry })] }), 4_000)).toEqual([
    "waits for source s0 since 3.0 s: its turn",
  ]);
  expect(waitingLines(samplePipeline(), 0)).toEqual([]);
});

test("many are counted", () => {
  const waits = Array.from({ length: 9 }, (_, at) => ({ ...wait, endpoint: `source s${at}` }));
  expect(waitingLines(samplePipeline({ waits }), 0).at(-1)).toBe("and for 3 more");
});
