import { ManualClock } from "@sluice/runtime";
import { recordKey, type PipelineState, type WrittenSpec } from "@sluice/wire";
import { beforeEach, describe, expect, test } from "vitest";
import { createPipeline } from "./create-pipeline.ts";
import { deletePipeline } from "./delete-pipeline.ts";
import type { DeskDeps } from "./desk-deps.ts";
import { SampleRecords, sampleDesk } from "./records.sample.ts";

const body = { name: "p", source: { url: "redis://a:1" }, destinations: [{ url: "redis://b:1" }] };
let records: SampleRecords;
let deps: DeskDeps;
let removed: string[];
let streams: Set<string>;
beforeEach(() => {
  records = new SampleRecords();
  removed = [];
  streams = new Set();
  deps = sampleDesk(records, removed, streams);
});

/** Pipeline `p` as it is after it has run. */
function hasRun(desired: WrittenSpec["desired"], state: PipelineState): void {
  records.write(recordKey.spec("p"), { pipeline: body, desired, createdAt: 1 });
  records.state = state;
}

describe("deletePipeline", () => {
  test("removes the stream and every record of one at rest", async () => {
    await createPipeline(body, { start: false }, deps);
    streams.add("p");
    records.write(recordKey.lane("p", "main.s0.0"), {});
    records.write(recordKey.spec("pq"), { pipeline: { ...body, name: "pq" }, desired: "created", createdAt: 1 });
    expect(await deletePipeline("p", { force: false }, deps)).toEqual({ name: "p", marksStay: true });
    expect([...records.stored.keys()]).toEqual([recordKey.spec("pq")]);
    expect(removed).toEqual(["p"]);
    await expect(deletePipeline("p", { force: false }, deps)).rejects.toMatchObject({ status: 404 });
  });

  test.each([
    ["running", "synchronizing"],
    ["paused", "paused"],
    ["stopped", "synchronizing"],
  ] as const)("one that shall be %s and is %s is not deleted", async (desired, state) => {
    hasRun(desired, state);
    await expect(deletePipeline("p", { force: false }, deps)).rejects.toMatchObject({ status: 409, code: "PIP-013" });
    expect(removed).toEqual([]);
  });

  // Mutation: delete-pipeline.ts, `released` does not wait: it is refused right behind the state `stopped`.
  test("one whose instances are about to let go of it is deleted when they have; where nobody takes it back it is refused", async () => {
    const clock = new ManualClock();
    const held = { shards: {}, lanes: { "main.s0.0": "w0" } };
    hasRun("stopped", "stopped");
    records.write(recordKey.assignment("p"), held);
    const refused = deletePipeline("p", { force: false }, { ...deps, clock }).catch((cause: unknown) => cause);
    await clock.advance(20_000);
    expect(await refused).toMatchObject({ status: 409, code: "PIP-013", message: expect.stringContaining("10 s") as string });
    const deleted = deletePipeline("p", { force: false }, { ...deps, clock });
    await clock.advance(3_000);
    expect(records.stored.has(recordKey.spec("p"))).toBe(true);
    records.write(recordKey.assignment("p"), { shards: {}, lanes: {} });
    await clock.advance(5_000);
    expect(await deleted).toEqual({ name: "p", marksStay: true });
  });

  test("a deletion that broke off is ended by another; only where nothing is left there was no pipeline", async () => {
    streams.add("p");
    records.write(recordKey.lane("p", "main.s0.0"), {});
    expect(await deletePipeline("p", { force: false }, deps)).toEqual({ name: "p", marksStay: true });
    expect([[...records.stored.keys()], removed]).toEqual([[], ["p"]]);
    await expect(deletePipeline("p", { force: false }, deps)).rejects.toMatchObject({ status: 404, code: "PIP-002" });
  });

  test("the last word of who has let go goes, too", async () => {
    hasRun("stopped", "stopped");
    const lane = recordKey.lane("p", "main.s0.0");
    records.write(lane, {});
    const removeIf = records.removeIf.bind(records);
    let words = 0;
    records.removeIf = async (key, revision) => {
      if (key === lane && words++ < 2) records.write(lane, {});
      return removeIf(key, revision);
    };
    await deletePipeline("p", { force: false }, deps);
    expect([...records.stored.keys()]).toEqual([]);
  });

  test("what is created anew behind the spec's end is left alone", async () => {
    hasRun("stopped", "stopped");
    records.listing = () => {
      records.listing = () => undefined;
      records.write(recordKey.spec("p"), { pipeline: body, desired: "checking", createdAt: 2, isNew: true });
    };
    await deletePipeline("p", { force: false }, deps);
    expect(records.spec.createdAt).toBe(2);
  });

  test("by force one goes that is settling: its cut-over is taken back before its spec, which can be told of", async () => {
    const clock = { ...deps.clock, monotonicMs: () => 0, nowMs: () => 1, sleep: async () => Promise.resolve() } as never;
    hasRun("cut-over", "cutting-over");
    const cutover = { phase: "settling", isForced: false, reason: "r", since: 1, drainedAt: {}, groups: {} };
    records.write(recordKey.cutover("p"), cutover);
    const told: unknown[] = [];
    records.removeIf = async () => {
      told.push(records.stored.get(recordKey.cutover("p"))?.value, records.spec);
      return Promise.reject(new Error("the bus is away"));
    };
    await expect(deletePipeline("p", { force: true }, { ...deps, clock })).rejects.toThrow("the bus is away");
    expect(told).toMatchObject([{ phase: "cancelled" }, { desired: "failed", failure: { code: "PIP-016" } }]);
  });
});
