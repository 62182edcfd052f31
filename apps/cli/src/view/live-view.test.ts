import { describe, expect, test } from "vitest";
import { LiveLine, pipelineFigures } from "./live-line.ts";
import { sampleLane, samplePipeline, sampleShard } from "./pipeline-status.sample.ts";

test("figures are those of the group that is furthest behind", () => {
  const lanes = [
    sampleLane({ group: "near", keys: 900, appliedOffset: 5_100, lagBytes: 100, lagSeconds: 0.1 }),
    sampleLane({ group: "far", lane: 0, keys: 300, appliedOffset: 4_000, lagBytes: 1_200, lagSeconds: 3 }),
    sampleLane({ group: "far", lane: 1, keys: 200, phase: "snap", appliedOffset: 0, lagBytes: null, lagSeconds: null }),
  ];
  expect(pipelineFigures(samplePipeline({ lanes }))).toMatchObject({
    keys: 500,
    lagBytes: 1_200,
    lagSeconds: 3,
    appliedOffset: 4_000,
  });
});

describe("the line", () => {
  test("while copying: a bar, keys of expected, bytes, rate", () => {
    const line = new LiveLine();
    const at = (keys: number) =>
      samplePipeline({
        state: "copying",
        lanes: [sampleLane({ phase: "snap", keys, lagBytes: null, lagSeconds: null })],
        shards: [sampleShard({ copied: { keys: 700, expectedKeys: 1_000, bytes: 21_000, expectedBytes: 40_000 } })],
      });
    line.render(at(0), 0, 0);
    expect(line.render(at(500), 1_000, 0)).toBe(
      "copying [############------------]  50 % · 500 of 1 000 keys · 21 kB of about 40 kB read · 500 keys/s",
    );
  });

  test("while nobody knows how many keys there are, the bar goes by bytes", () => {
    const shards = [sampleShard({ copied: { keys: 7, expectedKeys: 0, bytes: 10, expectedBytes: 40 } })];
    const text = new LiveLine().render(samplePipeline({ state: "copying", shards, lanes: [] }), 0, 0);
    expect(text).toContain("25 % · 0 keys · 10 B of about 40 B read");
  });

  test("before the source sends: no bar", () => {
    const shards = [sampleShard({ copied: { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 } })];
    const text = new LiveLine().render(samplePipeline({ state: "copying", shards, lanes: [] }), 0, 0);
    expect(text).toBe("copying · the source has not begun to send");
  });

  test("while synchronizing: rate, lag, applied offset, stream", () => {
    const line = new LiveLine();
    line.render(samplePipeline(), 0, 0);
    const text = line.render(samplePipeline({ shards: [sampleShard({ commands: 2_700 })] }), 1_000, 0);
    expect(text).toBe("synchronizing · 2 000 commands/s · lag 200 B, 0.3 s · applied 5 000 · stream 34 kB");
  });

  test("says what is waited for, since when and why, without control characters", () => {
    const retry = { endpoint: "destination main", since: 10_000, reason: "connection \u001b[31mrefused" };
    const text = new LiveLine().render(samplePipeline({ state: "retrying", lanes: [sampleLane({ retry })] }), 0, 25_000);
    expect(text).toBe("retrying · waits for destination main since 15 s: connection \\x1b[31mrefused");
  });
});
