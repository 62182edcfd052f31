import { pipelineSchema } from "@sluice/wire";
import { describe, expect, test } from "vitest";
import { topologyOf } from "../topology/topology.ts";
import { wantedWork } from "./wanted-work.ts";

const pipeline = pipelineSchema.parse({
  name: "p",
  source: { url: "redis://[::1]:7000" },
  destinations: [{ url: "redis://b:1" }, { group: "other", url: "redis://c:1" }],
});

test("a standalone source is one shard with one lane", () => {
  expect(topologyOf(pipeline)).toEqual({ shards: [{ id: "s0", host: "::1", port: 7000, lanes: 1 }] });
});

describe("wantedWork", () => {
  const topology = { shards: [{ id: "s0", host: "a", port: 1, lanes: 2 }] };
  const lanes = ["main.s0.0", "main.s0.1", "other.s0.0", "other.s0.1"];

  test("a running pipeline wants every shard and every lane of every group, whatever its state says", () => {
    for (const state of [null, "created", "failed", "stopped"] as const) {
      expect(wantedWork({ pipeline, desired: "running" }, topology, state)).toEqual({ shards: ["s0"], lanes });
    }
  });

  test("a stopping one keeps its lanes until its state is stopped", () => {
    expect(wantedWork({ pipeline, desired: "stopped" }, topology, "synchronizing")).toEqual({ shards: [], lanes });
    expect(wantedWork({ pipeline, desired: "stopped" }, topology, null)).toEqual({ shards: [], lanes });
    expect(wantedWork({ pipeline, desired: "stopped" }, topology, "stopped")).toEqual({ shards: [], lanes: [] });
  });
});
