import type { Deployment } from "@sluice/redis";
import type { TopologyRecord } from "@sluice/wire";
import { describe, expect, test } from "vitest";
import { obstacleOf, SettledLook } from "./settled-look.ts";

const node = (port: number, slots: string) => ({ id: `n${port}`, host: "h", port, slots, replicas: [] });
const whole: Deployment = {
  mode: "cluster",
  primaries: [node(1, "0-8191"), node(2, "8192-16383")],
  nodeIds: ["n1", "n2"],
  idle: [],
  movingSlots: [],
  moves: [],
  trouble: null,
};

describe("obstacleOf", () => {
  test("a whole picture that all nodes share has none", () => {
    expect(obstacleOf(whole, null)).toBeNull();
  });

  test("nodes that disagree, slots on their way and slots without an owner are left alone", () => {
    expect(obstacleOf({ ...whole, trouble: "h:2: ECONNREFUSED" }, null)).toBe("h:2: ECONNREFUSED");
    expect(obstacleOf({ ...whole, movingSlots: [4, 5, 9] }, null)).toBe("slots 4-5,9 are on their way");
    const partial = { ...whole, primaries: [node(1, "0-8191"), node(2, "8193-16383")] };
    expect(obstacleOf(partial, null)).toBe("nobody owns the slots 8192");
  });

  test("slots that nobody owned before may go on without an owner", () => {
    const shards = [{ id: "s0", host: "h", port: 1, slots: "0-8191", floor: 0 }];
    const current: TopologyRecord = { mode: "cluster", lanes: 1, shards, events: [] };
    expect(obstacleOf({ ...whole, primaries: [node(1, "0-8191")] }, current)).toBeNull();
    expect(obstacleOf({ ...whole, primaries: [node(1, "1-16383")] }, current)).toBe("nobody owns the slots 0");
  });
});

describe("SettledLook", () => {
  const other = { ...whole, primaries: [node(1, "0-8191"), node(3, "8192-16383")] };

  test("the first look of all counts; after that only what two in a row showed", () => {
    const settled = new SettledLook();
    expect(settled.confirm(whole, true)).toBe(true);
    expect(settled.confirm(other, false)).toBe(false);
    expect(settled.confirm(whole, false)).toBe(false);
    expect(settled.confirm(other, false)).toBe(false);
    expect(settled.confirm(other, false)).toBe(true);
  });

  test("a look that could not be used stands between two that could", () => {
    const settled = new SettledLook();
    expect(settled.confirm(other, false)).toBe(false);
    settled.forget();
    expect(settled.confirm(other, false)).toBe(false);
    expect(settled.confirm(other, false)).toBe(true);
  });
});
