import { pipelineSchema, type DestinationRecord } from "@sluice/wire";
import { expect, test } from "vitest";
import { laneCount } from "./lane-count.ts";

const pipeline = pipelineSchema.parse({
  name: "p",
  source: { url: "redis://a:1" },
  destinations: [{ url: "redis://b:1" }, { group: "other", url: "redis://c:1" }],
  lanes: 5,
});
const known = (modes: Record<string, DestinationRecord["mode"]>) =>
  new Map(
    Object.entries(modes).map(([group, mode]) => [
      group,
      { revision: 1, value: { mode, at: 1, nodes: [{ host: "b", port: 1, slots: "0-16383" }] } },
    ]),
  );

test("a cluster is cut as the pipeline says, whatever its destinations are", () => {
  expect(laneCount(pipeline, "cluster", known({}))).toBe(5);
  expect(laneCount(pipeline, "cluster", known({ main: "standalone" }))).toBe(5);
});

test("a standalone source stays whole for any standalone destination", () => {
  expect(laneCount(pipeline, "standalone", known({ main: "standalone" }))).toBe(1);
  expect(laneCount(pipeline, "standalone", known({ main: "cluster", other: "standalone" }))).toBe(1);
  expect(laneCount(pipeline, "standalone", known({ main: "cluster", other: "cluster" }))).toBe(5);
});

test("nothing is decided while a destination is not known that may decide it", () => {
  expect(laneCount(pipeline, "standalone", known({ main: "cluster" }))).toBeNull();
  expect(laneCount(pipeline, "standalone", known({}))).toBeNull();
});
