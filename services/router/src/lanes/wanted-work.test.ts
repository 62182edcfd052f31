import { pipelineSchema, type TopologyRecord } from "@sluice/wire";
import { describe, expect, test } from "vitest";
import { wantedWork } from "./wanted-work.ts";

const pipeline = pipelineSchema.parse({
  name: "p",
  source: { url: "redis://[::1]:7000" },
  destinations: [{ url: "redis://b:1" }, { group: "other", url: "redis://c:1" }],
});

describe("wantedWork", () => {
  const topology: TopologyRecord = {
    mode: "standalone",
    lanes: 2,
    shards: [{ id: "s0", host: "a", port: 1, slots: "0-16383", floor: 0 }],
    events: [],
  };
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

  test("a paused one wants its shards alone", () => {
    expect(wantedWork({ pipeline, desired: "paused" }, topology, "synchronizing")).toEqual({ shards: ["s0"], lanes: [] });
  });

  test.each(["created", "checking", "failed"] as const)("one that is %s wants nothing, whatever its state says", (desired) => {
    for (const state of [null, "synchronizing", "retrying"] as const) {
      expect(wantedWork({ pipeline, desired }, topology, state)).toEqual({ shards: [], lanes: [] });
    }
  });

  test("one that is cut over wants nothing, before its state says so", () => {
    expect(wantedWork({ pipeline, desired: "cut-over" }, topology, "cutting-over")).toEqual({ shards: [], lanes: [] });
  });

  // Mutation: wanted-work.ts, isElsewhere always false: ingest reads the former source once more.
  test("nothing is read by a topology of another source, until the router has looked at the new one", () => {
    const former = { ...topology, source: "redis://elsewhere:7000" };
    for (const desired of ["running", "paused"] as const) {
      expect(wantedWork({ pipeline, desired }, former, "ready")).toEqual({ shards: [], lanes: [] });
    }
    // What is stored is applied wherever it came from.
    expect(wantedWork({ pipeline, desired: "stopped" }, former, "synchronizing")).toEqual({ shards: [], lanes });
    const same = { ...topology, source: "redis://[::1]:7000" };
    expect(wantedWork({ pipeline, desired: "running" }, same, "ready")).toEqual({ shards: ["s0"], lanes });
  });

  test("a shard has a lane for each range of the cut that it owns slots in, by its global number", () => {
    const shards = [
      { id: "s0", host: "a", port: 1, slots: "0-5000,16383", floor: 0 },
      { id: "s7", host: "b", port: 1, slots: "5001-16382", floor: 0 },
    ];
    const cut: TopologyRecord = { mode: "cluster", lanes: 4, shards, events: [] };
    const { shards: ids, lanes } = wantedWork({ pipeline, desired: "running" }, cut, null);
    expect(ids).toEqual(["s0", "s7"]);
    expect(lanes.filter((label) => label.startsWith("main"))).toEqual(
      ["s0.0", "s0.1", "s0.3", "s7.1", "s7.2", "s7.3"].map((label) => `main.${label}`),
    );
  });
});
