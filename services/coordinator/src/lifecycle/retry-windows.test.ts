import { ManualClock } from "@sluice/runtime";
import type { RetryRecord } from "@sluice/wire";
import { describe, expect, test } from "vitest";
import { formatSpan } from "./format-span.ts";
import { failureOf, RetryWindows, waitsOf, type Wait } from "./retry-windows.ts";

const windowsOf = { source: 20_000, destination: 60_000, bus: 60_000 };
const source: Wait = { endpoint: "source s0", kind: "source", reason: "refused" };
const destination: Wait = { endpoint: "destination main", kind: "destination", reason: "refused" };

describe("RetryWindows", () => {
  test("one is open from the first look that finds an endpoint waited for to the first that does not", async () => {
    const clock = new ManualClock();
    const windows = new RetryWindows(clock, []);
    expect(windows.look([source], windowsOf).opened).toMatchObject([{ endpoint: "source s0", elapsedMs: 0, windowMs: 20_000 }]);
    await clock.advance(5_000);
    const second = windows.look([{ ...source, reason: "timed out" }, destination], windowsOf);
    expect(second.opened.map(({ endpoint }) => endpoint)).toEqual(["destination main"]);
    expect(windows.open).toMatchObject([
      { endpoint: "source s0", elapsedMs: 5_000, reason: "timed out", since: clock.nowMs() - 5_000 },
      { endpoint: "destination main", elapsedMs: 0 },
    ]);
    await clock.advance(1_000);
    expect(windows.look([destination], windowsOf).recovered).toMatchObject([{ endpoint: "source s0", elapsedMs: 5_000 }]);
    await clock.advance(1_000);
    expect(windows.look([source], windowsOf).opened).toMatchObject([{ endpoint: "source s0", elapsedMs: 0 }]);
  });

  // Mutation: retry-windows.ts, the window of every endpoint the longest of the three.
  test("each closes after its own time, and not before", async () => {
    const clock = new ManualClock();
    const windows = new RetryWindows(clock, []);
    windows.look([source, destination], windowsOf);
    await clock.advance(19_999);
    expect(windows.look([source, destination], windowsOf).closed).toBeNull();
    await clock.advance(1);
    const { closed } = windows.look([source, destination], windowsOf);
    expect(closed?.endpoint).toBe("source s0");
    expect(failureOf(closed!, 1)).toMatchObject({
      code: "SRC-015",
      message: "source s0 was tried in vain for 20 s, as long as its retry window says: refused",
    });
  });

  // Mutation: retry-windows.ts, `since` and the wall clock in place of what was carried.
  test("what another coordinator has counted is carried on, and the time without any is not counted", async () => {
    const clock = new ManualClock();
    const first = new RetryWindows(clock, []);
    first.look([source], windowsOf);
    await clock.advance(15_000);
    first.look([source], windowsOf);
    const { open } = first;
    await clock.advance(3_600_000);
    const second = new RetryWindows(new ManualClock(0), open);
    expect(second.look([source], windowsOf)).toEqual({ opened: [], recovered: [], closed: null });
    expect(second.open[0]?.elapsedMs).toBe(15_000);
  });
});

describe("waits that nobody tries", () => {
  const tried = (revision: number | null): Wait => ({ ...source, revision });

  // Mutation: retry-windows.ts, #isTried always true.
  test("count no more a minute after what told of them was last written, and go on when it is written again", async () => {
    const clock = new ManualClock();
    const windows = new RetryWindows(clock, []);
    const patient = { ...windowsOf, source: 600_000 };
    const lookAfter = async (ms: number, wait: Wait): Promise<number> => {
      await clock.advance(ms);
      expect(windows.look([wait], patient).recovered).toEqual([]);
      return windows.open[0]!.elapsedMs;
    };
    expect(await lookAfter(0, tried(5))).toBe(0);
    expect(await lookAfter(50_000, tried(6))).toBe(50_000);
    expect(await lookAfter(60_000, tried(6))).toBe(110_000);
    expect(await lookAfter(1_000, tried(6))).toBe(110_000);
    expect(await lookAfter(3_600_000, tried(6))).toBe(110_000);
    expect(await lookAfter(1_000, tried(7))).toBe(110_000);
    expect(await lookAfter(1_000, tried(7))).toBe(111_000);
    expect(await lookAfter(1_000, tried(null))).toBe(111_000);
  });

  test("are told apart by who shall run the part, and who wrote of it", () => {
    const revisionOf = (owner: string | null, by: string): unknown => {
      const seen = {
        phase: "connecting" as const,
        epoch: 1,
        halt: null,
        retry: { endpoint: "source s0", since: 1, reason: "" },
      };
      const shard = { id: "s0", owner, floor: 0, seen: { ...seen, written: { by, revision: 9 } } };
      return waitsOf({ shards: [shard], lanes: [], watches: [] })[0]?.revision;
    };
    expect(revisionOf("i0", "i0")).toBe(9);
    expect(revisionOf(null, "i0")).toBeNull();
    expect(revisionOf("i1", "i0")).toBeNull();
  });
});

describe("waitsOf", () => {
  const shardWith = (retry: RetryRecord | null) => ({
    id: "s0",
    owner: "i0",
    floor: 0,
    seen: { phase: "connecting" as const, epoch: 1, halt: null, retry },
  });
  const retry = { endpoint: "source s0", since: 1, reason: "refused" };
  const nothing = { shards: [], lanes: [], watches: [] };

  test("names each endpoint once, whoever waits for it and as whatever it was told", () => {
    const lane = { label: "main.s0.0", owner: "w0", lagSeconds: null };
    const laneWith = (endpoint: string) => ({
      ...lane,
      seen: { phase: "live" as const, epoch: 1, halt: null, retry: { ...retry, endpoint } },
    });
    const waits = waitsOf({
      shards: [shardWith(retry)],
      lanes: [laneWith("destination main"), laneWith("destination main"), laneWith("source s0")],
      watches: [
        { halt: null, retry: { ...retry, endpoint: "source orders" } },
        { halt: null, retry: { ...retry, endpoint: "destination main of orders" } },
      ],
    });
    expect(waits.map(({ endpoint, kind }) => [endpoint, kind])).toEqual([
      ["source s0", "source"],
      ["destination main", "destination"],
      ["source", "source"],
    ]);
  });

  test("a turn, a time of day, the bus and Sluice itself open no window", () => {
    expect(waitsOf({ ...nothing, shards: [shardWith({ ...retry, isTurn: true })] })).toEqual([]);
    expect(waitsOf({ ...nothing, shards: [shardWith({ ...retry, endpoint: "bus" })] })).toEqual([]);
    expect(waitsOf({ ...nothing, shards: [shardWith({ ...retry, endpoint: "sluice" })] })).toEqual([]);
    expect(waitsOf({ ...nothing, shards: [shardWith(null)] })).toEqual([]);
  });
});

test("spans are told in their two largest units", () => {
  expect([0, 999, 20_000, 200_000, 43_200_000, 43_260_000, 43_261_000].map(formatSpan)).toEqual([
    "0 s",
    "1 s",
    "20 s",
    "3 min 20 s",
    "12 h",
    "12 h 1 min",
    "12 h 1 min",
  ]);
});
