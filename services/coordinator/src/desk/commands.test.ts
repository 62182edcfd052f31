import { openSecret } from "@sluice/runtime";
import { recordKey, topologyRecord, type PipelineState, type WrittenSpec } from "@sluice/wire";
import { beforeEach, describe, expect, test } from "vitest";
import { createPipeline } from "./create-pipeline.ts";
import type { DeskDeps } from "./desk-deps.ts";
import { editPipeline } from "./edit-pipeline.ts";
import { SampleRecords, sampleDesk } from "./records.sample.ts";
import { startPipeline } from "./start-pipeline.ts";
import { pausePipeline, stopPipeline } from "./stop-pipeline.ts";

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
function hasRun(desired: WrittenSpec["desired"], state: PipelineState, change: object = {}): void {
  records.write(recordKey.spec("p"), { pipeline: { ...body, ...change }, desired, createdAt: 1 });
  records.state = state;
}

const haltedLane = (code: string): object => ({
  epoch: 1,
  copy: 1,
  instance: "w0",
  phase: "live",
  offset: 1,
  sequence: 1,
  keys: 0,
  units: 0,
  bytes: 0,
  transactions: 0,
  stale: 0,
  retry: null,
  halt: { code, message: "m", remedy: "r", at: 1 },
  at: 1,
});

describe("createPipeline", () => {
  test("keeps it, or has it checked before it runs; its secrets are sealed", async () => {
    expect(await createPipeline(body, { start: false }, deps)).toEqual({ name: "p", outcome: "created" });
    expect(records.spec).toMatchObject({ desired: "created", isNew: true });
    const source = { url: "redis://a:1", password: "user:pa:ss" };
    await createPipeline({ ...body, source }, { start: true }, deps);
    expect(records.spec).toMatchObject({ desired: "checking", isNew: true });
    const kept = records.spec.pipeline["source"] as { user: string; password: string };
    expect([kept.user, openSecret(kept.password, deps.secretKey)]).toEqual(["user", "pa:ss"]);
    expect(records.texts).toEqual(["created", "start asked for, with its file"]);
  });

  test("one that never ran may be replaced by any other; one that ran only by itself", async () => {
    await createPipeline(body, { start: true }, deps);
    const other = { ...body, source: { url: "redis://elsewhere:1" }, lanes: 3 };
    await createPipeline(other, { start: true }, deps);
    expect(records.spec.pipeline["source"]).toEqual({ url: "redis://elsewhere:1" });
    hasRun("stopped", "stopped");
    await expect(createPipeline(other, { start: true }, deps)).rejects.toMatchObject({ status: 409, code: "PIP-003" });
    await expect(createPipeline({ ...body, retryWindow: "1m" }, { start: true }, deps)).rejects.toMatchObject({
      code: "PIP-003",
    });
    await expect(createPipeline(body, { start: false }, deps)).rejects.toMatchObject({ code: "PIP-003" });
    expect(await createPipeline(body, { start: true }, deps)).toEqual({ name: "p", outcome: "resumed" });
    expect(records.spec.desired).toBe("running");
  });

  test("what an earlier pipeline of the name left says nothing of the new one; waivers are kept for its checks", async () => {
    records.state = "cut-over";
    await createPipeline(body, { start: true, ignore: [{ id: "source-backlog", reason: "known" }] }, deps);
    expect(records.stored.has(recordKey.state("p"))).toBe(false);
    expect(records.stored.get(recordKey.precheck("p"))?.value).toMatchObject({
      spec: 0,
      ignore: [{ id: "source-backlog", reason: "known" }],
    });
    expect(records.spec.desired).toBe("checking");
  });

  test("a waiver of a check that there is not is refused before anything is kept", async () => {
    const ignore = [{ id: "source-nonsense", reason: "" }];
    await expect(createPipeline(body, { start: true, ignore }, deps)).rejects.toMatchObject({ status: 422, code: "API-001" });
    expect(records.stored.size).toBe(0);
    hasRun("stopped", "stopped");
    await expect(startPipeline("p", deps, { ignore })).rejects.toMatchObject({ status: 422, code: "API-001" });
  });

  test("nor does what a deletion left that broke off: stream, positions, a cut-over that had begun to settle", async () => {
    streams.add("p");
    const cutover = { phase: "settling", isForced: false, reason: "r", since: 1, drainedAt: {}, groups: {} };
    records.write(recordKey.cutover("p"), cutover);
    for (const key of [recordKey.topology("p"), recordKey.lane("p", "main.s0.0"), recordKey.epoch("p")]) records.write(key, {});
    expect(await createPipeline(body, { start: true }, deps)).toEqual({ name: "p", outcome: "created" });
    expect([...records.stored.keys()].toSorted()).toEqual([recordKey.events("p"), recordKey.spec("p")]);
    expect(removed).toEqual(["p"]);
  });

  test("who comes second takes nothing from who was first", async () => {
    records.write(recordKey.topology("p"), {});
    records.listing = () => {
      records.listing = () => undefined;
      // Between the two looks of the second one.
      records.write(recordKey.spec("p"), { pipeline: body, desired: "checking", createdAt: 1, isNew: true });
      for (const key of [recordKey.state("p"), recordKey.windows("p"), recordKey.precheck("p")]) records.write(key, undefined);
      streams.add("p");
    };
    await createPipeline(body, { start: false }, deps).catch(() => undefined);
    expect(records.stored.has(recordKey.precheck("p"))).toBe(true);
    expect(records.stored.has(recordKey.state("p"))).toBe(true);
    expect(removed).toEqual([]);
  });

  test("a start with the file of one that runs changes nothing; with another password it does", async () => {
    const withPassword = (password: string) => ({ ...body, source: { ...body.source, user: "u", password } });
    await createPipeline(withPassword("x"), { start: true }, deps);
    const checking = records.stored.get(recordKey.spec("p"))!.revision;
    await createPipeline(withPassword("x"), { start: true }, deps);
    expect(records.stored.get(recordKey.spec("p"))!.revision).toBe(checking);
    records.write(recordKey.spec("p"), { pipeline: records.spec.pipeline, desired: "running", createdAt: 1 });
    records.state = "copying";
    const { revision } = records.stored.get(recordKey.spec("p"))!;
    expect(await createPipeline(withPassword("x"), { start: true }, deps)).toEqual({ name: "p", outcome: "resumed" });
    expect(records.stored.get(recordKey.spec("p"))!.revision).toBe(revision);
    await createPipeline(withPassword("y"), { start: true }, deps);
    expect(openSecret((records.spec.pipeline["source"] as { password: string }).password, deps.secretKey)).toBe("y");
    records.state = "failed";
    const failed = records.stored.get(recordKey.spec("p"))!.revision;
    await createPipeline(withPassword("y"), { start: true }, deps);
    expect(records.stored.get(recordKey.spec("p"))!.revision).toBeGreaterThan(failed);
  });
});

describe("what a pipeline shall do", () => {
  test("a start has one checked that never ran, and lets one run that did", async () => {
    await createPipeline(body, { start: false }, deps);
    expect(await startPipeline("p", deps)).toEqual({ name: "p", desired: "checking", isChanged: true });
    const { isChanged } = await startPipeline("p", deps);
    expect(isChanged).toBe(false);
    for (const [desired, state] of [
      ["stopped", "stopped"],
      ["paused", "paused"],
      ["failed", "failed"],
    ] as const) {
      hasRun(desired, state);
      expect(await startPipeline("p", deps)).toEqual({ name: "p", desired: "running", isChanged: true });
    }
  });

  test("a start leaves alone what runs, and begins anew what has halted or was refused by its checks", async () => {
    hasRun("running", "synchronizing");
    expect((await startPipeline("p", deps)).isChanged).toBe(false);
    records.state = "failed";
    expect((await startPipeline("p", deps)).isChanged).toBe(true);
    await createPipeline({ ...body, name: "q" }, { start: true }, deps);
    const key = recordKey.spec("q");
    const { revision } = records.stored.get(key)!;
    const report = { at: 1, results: [], verdict: "fail" };
    records.write(recordKey.precheck("q"), { spec: revision, report, ignore: [], highestEpoch: 0 });
    expect((await startPipeline("q", deps)).isChanged).toBe(true);
    expect(records.stored.get(key)!.revision).toBeGreaterThan(revision);
  });

  test("what was failed with, and that a copy was all of it, is over with the next start", async () => {
    hasRun("failed", "failed");
    const failure = { code: "SRC-015", message: "m", remedy: "r", at: 1 };
    records.write(recordKey.spec("p"), { ...records.spec, failure, isCopied: true });
    await startPipeline("p", deps);
    expect(records.spec).toEqual({ pipeline: body, desired: "running", createdAt: 1, starts: 1, startRevision: 0 });
  });

  test("a pause is for one that runs; it may be asked for twice", async () => {
    hasRun("running", "synchronizing");
    expect(await pausePipeline("p", deps)).toEqual({ name: "p", desired: "paused", isChanged: true });
    expect(await pausePipeline("p", deps)).toEqual({ name: "p", desired: "paused", isChanged: false });
    hasRun("stopped", "stopped");
    await expect(pausePipeline("p", deps)).rejects.toMatchObject({ status: 409, code: "PIP-013" });
    hasRun("cut-over", "cut-over");
    await expect(pausePipeline("p", deps)).rejects.toMatchObject({ code: "PIP-009" });
    await expect(pausePipeline("none", deps)).rejects.toMatchObject({ status: 404, code: "PIP-002" });
    await expect(pausePipeline("../spec", deps)).rejects.toMatchObject({ status: 404 });
  });

  test("a stop is for all but what is cut over, and goes on when others wrote in between", async () => {
    hasRun("paused", "paused");
    let meddled = 0;
    records.meddle = (key) => {
      if (key === recordKey.spec("p") && meddled++ === 0) records.write(key, { ...records.spec, createdAt: 2 });
    };
    expect(await stopPipeline("p", deps)).toMatchObject({ desired: "stopped", isChanged: true });
    expect(records.spec.createdAt).toBe(2);
    expect((await stopPipeline("p", deps)).isChanged).toBe(false);
    hasRun("cut-over", "cut-over");
    expect(await stopPipeline("p", deps)).toMatchObject({ desired: "cut-over", isChanged: false });
  });

  // Mutation: spec-change.ts, `wished` with `drainMs`: the next stop has the time that was given to this one.
  test("a stop may be given its time, also while it lasts; the next one begins without", async () => {
    hasRun("running", "synchronizing");
    await stopPipeline("p", deps, 600_000);
    expect(records.spec).toMatchObject({ desired: "stopped", drainMs: 600_000 });
    expect(await stopPipeline("p", deps)).toMatchObject({ isChanged: false });
    expect(await stopPipeline("p", deps, 0)).toMatchObject({ isChanged: true });
    expect(records.spec).toMatchObject({ desired: "stopped", drainMs: 0 });
    records.state = "stopped";
    expect(await stopPipeline("p", deps, 5_000)).toMatchObject({ isChanged: false });
    await startPipeline("p", deps);
    expect(records.spec).not.toHaveProperty("drainMs");
  });

  // Mutation: stop-pipeline.ts, `wished` also of what is stopped: a full copy that has ended becomes one that the operator stopped.
  test("a stop that is given its time says no less of why it stops", async () => {
    hasRun("stopped", "synchronizing");
    records.write(recordKey.spec("p"), { ...records.spec, isCopied: true });
    expect(await stopPipeline("p", deps, 5_000)).toMatchObject({ isChanged: true });
    expect(records.spec).toMatchObject({ desired: "stopped", isCopied: true, drainMs: 5_000 });
  });

  test("an idle time that expiries did not bear makes the next start a copy", async () => {
    const shards = [{ id: "s0", host: "a", port: 1, slots: "0-16383", floor: 0 }];
    const floor = () => topologyRecord.parse(records.stored.get(recordKey.topology("p"))?.value).shards[0]?.floor;
    records.write(recordKey.topology("p"), { mode: "standalone", lanes: 1, shards, events: [] });
    records.write(recordKey.epoch("p"), { epoch: 4 });
    hasRun("paused", "paused");
    records.write(recordKey.windows("p"), { spec: 1, windows: [], idleMs: 60_000 });
    await startPipeline("p", deps);
    expect(floor()).toBe(0);
    hasRun("paused", "paused");
    records.write(recordKey.windows("p"), { spec: 1, windows: [], idleMs: 24 * 3_600_000 });
    await startPipeline("p", deps);
    expect(floor()).toBe(4);
  });

  // Mutations: start-pipeline.ts, `idleOf` 0 for what runs, or for what was counted of another start; edit-pipeline.ts, no copies: what has halted begins anew from where it was.
  test("so does the time that a lane has halted for, though the pipeline runs: for a start, and for an edit", async () => {
    const shards = [{ id: "s0", host: "a", port: 1, slots: "0-16383", floor: 0 }];
    const floor = () => topologyRecord.parse(records.stored.get(recordKey.topology("p"))?.value).shards[0]?.floor;
    const halted = (change: object = {}): void => {
      records.write(recordKey.topology("p"), { mode: "standalone", lanes: 1, shards, events: [] });
      hasRun("running", "failed", change);
      const spec = records.stored.get(recordKey.spec("p"))?.revision;
      records.write(recordKey.windows("p"), { spec, windows: [], idleMs: 24 * 3_600_000 });
    };
    const laneHalted = (code: string): number => records.write(recordKey.lane("p", "main.s0.0"), haltedLane(code));
    const edit = { limits: { concurrentFullSyncs: 2 } };
    records.write(recordKey.epoch("p"), { epoch: 4 });
    halted();
    await startPipeline("p", deps);
    expect(floor()).toBe(4);
    halted();
    laneHalted("DST-004");
    expect(await editPipeline("p", edit, { dryRun: true, isPatch: true }, deps), "an edit does not lift it").toMatchObject({
      checkpoint: "kept",
    });
    laneHalted("DST-002");
    expect(await editPipeline("p", edit, { dryRun: true, isPatch: true }, deps)).toMatchObject({ checkpoint: "copies" });
    expect(floor()).toBe(0);
    await editPipeline("p", edit, { dryRun: false, isPatch: true }, deps);
    expect(floor()).toBe(4);
    halted({ mode: "changes", destinations: [{ url: "redis://b:1", existing: "overwrite" }] });
    const refused = editPipeline("p", edit, { dryRun: false, isPatch: true }, deps);
    await expect(refused).rejects.toMatchObject({ code: "SRC-019" });
    hasRun("running", "failed");
    await startPipeline("p", deps);
    expect(floor(), "what was counted before an earlier start, and is not made up for").toBe(4);
  });

  test("so it is with a start by the file, and one that never copies is refused", async () => {
    const shards = [{ id: "s0", host: "a", port: 1, slots: "0-16383", floor: 0 }];
    records.write(recordKey.topology("p"), { mode: "standalone", lanes: 1, shards, events: [] });
    records.write(recordKey.epoch("p"), { epoch: 4 });
    hasRun("paused", "paused");
    records.write(recordKey.windows("p"), { spec: 1, windows: [], idleMs: 24 * 3_600_000 });
    await createPipeline(body, { start: true }, deps);
    expect(topologyRecord.parse(records.stored.get(recordKey.topology("p"))?.value).shards[0]?.floor).toBe(4);
    const copyless = { ...body, mode: "changes", destinations: [{ url: "redis://b:1", existing: "overwrite" }] };
    hasRun("paused", "paused", copyless);
    await expect(createPipeline(copyless, { start: true }, deps)).rejects.toMatchObject({ code: "SRC-019" });
  });
});

describe("editPipeline", () => {
  const put = { dryRun: false, isPatch: false };
  const patch = { dryRun: false, isPatch: true };

  test("credentials and limits are changed in place, and the others stay; values of secrets are not told", async () => {
    hasRun("running", "synchronizing");
    const edited = await editPipeline("p", { source: { password: "secret" }, limits: { streamBytes: "1GB" } }, patch, deps);
    expect(edited).toEqual({
      name: "p",
      desired: "running",
      isChanged: true,
      changed: ["source.password", "limits"],
      checkpoint: "kept",
      why: "no endpoint leads elsewhere",
      groups: [],
    });
    const source = records.spec.pipeline["source"] as { url: string; password: string };
    expect([source.url, openSecret(source.password, deps.secretKey)]).toEqual(["redis://a:1", "secret"]);
    const again = await editPipeline("p", { destinations: [{ password: "other" }] }, patch, deps);
    expect(again.changed).toEqual(["destinations[0].password"]);
    expect(openSecret((records.spec.pipeline["source"] as { password: string }).password, deps.secretKey)).toBe("secret");
    expect(
      (await editPipeline("p", { source: { password: null }, destinations: [{ password: null }] }, patch, deps)).changed,
    ).toEqual(["source.password", "destinations[0].password"]);
    expect((await editPipeline("p", {}, patch, deps)).isChanged).toBe(false);
    expect(records.texts.join()).not.toContain("secret");
  });

  test.each([
    [{ lanes: 3 }, "lanes"],
    [{ retryWindow: "1m" }, "retryWindow + keepApplied"],
    [{ destinations: [{ url: "redis://b:1", existing: "keep" }] }, "`existing: refuse` for main"],
    [{ destinations: [{ url: "redis://b:1", commands: { exclude: ["DEL"] } }] }, "other `commands` for main"],
    [{ name: "q" }, "can't become q"],
  ])("what can't be changed is refused by name: %j", async (change, told) => {
    hasRun("stopped", "stopped");
    await expect(editPipeline("p", { ...body, ...change }, put, deps)).rejects.toMatchObject({
      code: "PIP-003",
      message: expect.stringContaining(told) as string,
    });
  });

  test("an endpoint that leads elsewhere is checked before the pipeline goes on; a dry run changes nothing", async () => {
    hasRun("running", "synchronizing");
    const elsewhere = { ...body, source: { url: "redis://127.0.0.1:1" } };
    const shards = [{ id: "s0", host: "a", port: 1, slots: "0-16383", floor: 0 }];
    records.write(recordKey.topology("p"), { mode: "standalone", lanes: 1, shards, events: [] });
    const dry = await editPipeline("p", elsewhere, { ...put, dryRun: true }, deps);
    expect([dry.isChanged, dry.changed, records.spec.desired]).toEqual([false, ["source.url"], "running"]);
    expect(await editPipeline("p", elsewhere, put, deps)).toMatchObject({ desired: "checking", checkpoint: "copies" });
    expect(records.spec).toMatchObject({ desired: "checking", isEdited: true });
    hasRun("stopped", "stopped");
    expect(await editPipeline("p", elsewhere, put, deps)).toMatchObject({ desired: "stopped" });
    expect((await startPipeline("p", deps)).desired).toBe("checking");
  });
});
