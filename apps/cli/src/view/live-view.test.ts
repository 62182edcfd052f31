import { describe, expect, test } from "vitest";
import { LiveView } from "./live-view.ts";
import { sampleFeed, sampleGroup, sampleLane, samplePipeline, sampleShard } from "./pipeline-status.sample.ts";

describe("the view", () => {
  test("while copying: a bar, keys of expected, bytes, rate", () => {
    const view = new LiveView();
    const at = (keys: number) =>
      samplePipeline({
        state: "copying",
        lanes: [sampleLane({ phase: "snap", keys, lagBytes: null, lagSeconds: null })],
        shards: [sampleShard({ copied: { keys: 700, expectedKeys: 1_000, bytes: 21_000, expectedBytes: 40_000 } })],
      });
    view.render(at(0), 0, 0);
    expect(view.render(at(500), 1_000, 0)).toEqual({
      heading: "copying, part 2",
      lines: ["copying [############------------]  50 % · 500 of 1 000 keys · 21 kB of about 40 kB read · 500 keys/s"],
    });
  });

  test("while nobody knows how many keys there are, the bar goes by bytes", () => {
    const shards = [sampleShard({ copied: { keys: 7, expectedKeys: 0, bytes: 10, expectedBytes: 40 } })];
    const { lines } = new LiveView().render(samplePipeline({ state: "copying", shards, lanes: [] }), 0, 0);
    expect(lines[0]).toContain("25 % · 0 keys · 10 B of about 40 B read");
  });

  test("before the source sends: no bar", () => {
    const shards = [sampleShard({ copied: { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 } })];
    const { lines } = new LiveView().render(samplePipeline({ state: "copying", shards, lanes: [] }), 0, 0);
    expect(lines).toEqual(["copying · the source has not begun to send"]);
  });

  test("while synchronizing: rate, lag, applied offset, stream", () => {
    const view = new LiveView();
    view.render(samplePipeline(), 0, 0);
    const { lines } = view.render(samplePipeline({ shards: [sampleShard({ commands: 2_700 })] }), 1_000, 0);
    expect(lines).toEqual(["synchronizing · 2 000 commands/s · lag 200 B, 0.3 s · applied 5 000 · stream 34 kB"]);
  });

  test("many shards, while copying: a bar for each below that of all", () => {
    const copied = (keys: number) => ({ keys, expectedKeys: 1_000, bytes: keys, expectedBytes: 0 });
    const at = (keys: number) =>
      samplePipeline({
        state: "copying",
        shards: [sampleShard({ copied: copied(1_000) }), sampleShard({ id: "s1", copied: copied(900), phase: "copying" })],
        lanes: [
          sampleLane({ keys: 990 }),
          sampleLane({ shard: "s1", lane: 1, phase: "snap", keys }),
          sampleLane({ shard: "s1", lane: 2, phase: "snap", keys: 0 }),
        ],
      });
    const view = new LiveView();
    view.render(at(100), 0, 0);
    expect(view.render(at(510), 1_000, 0).lines).toEqual([
      "copying [##################------]  75 % · 1 500 of 2 000 keys · 1.9 kB read · 410 keys/s",
      "  s0  [########################] 100 % · 990 keys, copied",
      "  s1  [############------------]  51 % · 510 of 1 000 keys · 900 B read · 410 keys/s",
    ]);
  });

  test("many lanes, afterwards: one line with the largest lag; offsets of different shards are not compared", () => {
    const status = samplePipeline({
      shards: [sampleShard(), sampleShard({ id: "s1" })],
      lanes: [sampleLane({ lagBytes: 900, lagSeconds: 0.1 }), sampleLane({ shard: "s1", lagBytes: 100, lagSeconds: 2 })],
    });
    expect(new LiveView().render(status, 0, 0)).toEqual({
      heading: "synchronizing",
      lines: ["synchronizing · 0 commands/s · lag 900 B, 2.0 s at most in 2 lanes · stream 34 kB"],
    });
  });

  test("says what is waited for, since when and why, without control characters", () => {
    const retry = { endpoint: "destination main", since: 10_000, reason: "connection \u001b[31mrefused" };
    const later = { endpoint: "source s0", since: 11_000, reason: "no route" };
    const status = samplePipeline({
      state: "retrying",
      shards: [sampleShard({ retry: later })],
      lanes: [sampleLane({ retry })],
    });
    expect(new LiveView().render(status, 0, 25_000).lines).toEqual([
      "retrying · waits for destination main since 15 s: connection \\x1b[31mrefused",
    ]);
  });

  test("a countdown for what is away, and the rates of what goes on meanwhile", () => {
    const wait = { endpoint: "destination far", kind: "destination" as const, reason: "no route", since: 0, secondsLeft: 680 };
    const status = samplePipeline({
      state: "retrying",
      waits: [wait],
      groups: [sampleGroup(), sampleGroup({ group: "far", shards: [sampleFeed({ unitsPerSecond: 0, lagSeconds: 70 })] })],
    });
    expect(new LiveView().render(status, 0, 0).lines).toEqual([
      "retrying · waits for destination far: 11 min 20 s left: no route",
      "  main.s0  1 200 units/s · 34 kB/s · lag 200 B, 0.3 s",
      "  far.s0   0 units/s · 34 kB/s · lag 200 B, 1 min 10 s",
    ]);
  });
});
