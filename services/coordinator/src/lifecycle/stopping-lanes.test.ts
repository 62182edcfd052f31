import { BatchKind, encodeBatch, liveSubject, snapSubject } from "@sluice/wire";
import { describe, expect, test } from "vitest";
import { PipelineBook } from "./pipeline-book.ts";
import { stopGate } from "./stop-gate.ts";
import { stoppingLanes } from "./stopping-lanes.ts";

const SPEC_REVISION = 10;
const LIVE = liveSubject("p", "s0", 0);
const SNAP = snapSubject("p", 1, "s0", 0);
const signs = { retry: null, halt: null, at: 1, bytes: 0, copy: 1, epoch: 2 };
const live = { ...signs, instance: "w", phase: "live", offset: 60, sequence: 6, keys: 0, units: 0, transactions: 0, stale: 0 };
const copied = { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 };
const shard = {
  ...signs,
  term: 1,
  instance: "i",
  phase: "copying",
  replid: "r",
  storedOffset: 100,
  db: 0,
  commands: 0,
  copied,
};

/** The last messages of lane 0: of its changes, and of its copy with the epoch whose copy it ends (0: it is one in between). */
interface Tails {
  readonly live?: number;
  readonly snap?: number;
  /** Of the last message of its changes; where there is none that is no batch. */
  readonly payload?: Uint8Array;
}

/** The only lane of a pipeline that stops by force, with nobody at its source. */
async function laneWhere(
  seen: object | null,
  tails: Tails = {},
  options: object = {},
  revision = SPEC_REVISION + 1,
  told: object = {},
) {
  const book = new PipelineBook();
  const take = (key: string, value: unknown, at: number) => book.take({ key: `pipeline.p.${key}`, value, revision: at });
  const pipeline = { name: "p", source: { url: "redis://a:1" }, destinations: [{ url: "redis://b:1" }] };
  const shards = [{ id: "s0", host: "a", port: 1, slots: "0-16383", floor: 0 }];
  take("spec", { pipeline, desired: "stopped", createdAt: 1 }, SPEC_REVISION);
  take("topology", { mode: "standalone", lanes: 1, shards, events: [] }, 2);
  take("shard.s0", { ...shard, ...told }, 3);
  if (seen !== null) take("lane.main.s0.0", { ...live, ...seen }, revision);
  const messages = new Map<string, { sequence: number; payload: Uint8Array }>();
  if (tails.live !== undefined) messages.set(LIVE, { sequence: tails.live, payload: tails.payload ?? new Uint8Array() });
  if (tails.snap !== undefined) messages.set(SNAP, { sequence: 3, payload: endOf(tails.snap) });
  const tail = async (subject: string) => Promise.resolve((messages.get(subject) ?? null) as never);
  const lanes = await stoppingLanes(book.get("p")!, { isForced: true, areShardsAssigned: false, tail, ...options });
  return lanes[0]!;
}

function endOf(epoch: number): Uint8Array {
  return message(epoch === 0 ? BatchKind.heartbeat : BatchKind.snapshotEnd, epoch, 2);
}

function message(kind: BatchKind, epoch: number, last: number): Uint8Array {
  const range = { previous: 2, last, db: 0, replid: "r" };
  return encodeBatch({
    kind,
    shard: "s0",
    epoch,
    term: 1,
    ...range,
    rows: null,
    body: Buffer.alloc(0),
    part: null,
    besideCopy: false,
  });
}

const waitsFor = (endpoint: string) => ({ retry: { endpoint, since: 1, reason: "r" } });

// Mutation: stop-gate.ts, `isDrained` by the sequences of lane and message: a lane of a cluster tells that of its watermarks, and
// one that stands behind a fence that of the message before it; a cut-over waited for them for ever.
test("a lane that is where its last message ends has applied everything, whatever sequence it tells", async () => {
  const facts = { sinceMs: 2_000, limitMs: 600_000, areShardsAssigned: false, quietMs: 1_500, isPatient: true };
  const isDone = async (payload: Uint8Array): Promise<boolean> => {
    const lane = await laneWhere({ offset: 60, sequence: 6 }, { live: 9, payload }, { isForced: false });
    return stopGate({ ...facts, lanes: [lane] }).isDone;
  };
  expect(await isDone(message(BatchKind.heartbeat, 2, 60))).toBe(true);
  expect(await isDone(message(BatchKind.fence, 2, 60))).toBe(true);
  expect(await isDone(message(BatchKind.heartbeat, 2, 61))).toBe(false);
  expect(await isDone(message(BatchKind.heartbeat, 1, 60))).toBe(false);
  expect(await isDone(new Uint8Array())).toBe(false);
});

// Mutation: stopping-lanes.ts, every retry counts as halted: what is stored and could be applied is settled without.
test("by force a lane is given up for the source only, and only by what it said in this stop", async () => {
  const isHalted = async (seen: object, options = {}, revision?: number): Promise<boolean> =>
    (await laneWhere(seen, { live: 9 }, options, revision)).isHalted;
  expect(await isHalted(waitsFor("destination main"))).toBe(false);
  expect(await isHalted(waitsFor("bus"))).toBe(false);
  expect(await isHalted(waitsFor("source s0"))).toBe(true);
  expect(await isHalted(waitsFor("source s0"), {}, SPEC_REVISION - 1)).toBe(false);
  expect(await isHalted(waitsFor("source s0"), { isForced: false })).toBe(false);
  expect(await isHalted({ halt: { code: "DST-004", message: "m", remedy: "r", at: 1 } })).toBe(true);
});

// Mutation: stopping-lanes.ts, `isCopyCut` only where `isForced`: a stop waits as long as it may for a copy that nobody sends any more.
test("a stop without force gives up a copy that has no end, too", async () => {
  const lane = async (seen: object, tails: Tails) => laneWhere(seen, tails, { isForced: false });
  const cut = await lane({ phase: "snap" }, { live: 9, snap: 0 });
  expect(cut).toMatchObject({ isCopyCut: true, isHalted: false });
  const facts = { sinceMs: 2_000, limitMs: 600_000, areShardsAssigned: false, quietMs: 1_500, isPatient: false };
  expect(stopGate({ ...facts, lanes: [cut] })).toMatchObject({
    isDone: true,
    reason: expect.stringContaining("not applied yet") as string,
  });
  expect((await lane({ phase: "snap" }, { live: 9, snap: 2 })).isCopyCut).toBe(false);
  expect((await laneWhere({ phase: "snap" }, { live: 9 }, { isForced: false, areShardsAssigned: true })).isCopyCut).toBe(false);
});

// Mutation: stopping-lanes.ts, `isCopyCut` wherever no copy serves the group: a drain ends as an ingest had just begun anew.
test("a stop without force lets lanes apply what is stored of a shard that had just been taken", async () => {
  const lane = async (seen: object) => laneWhere(seen, { live: 9 }, { isForced: false }, SPEC_REVISION + 1, { epoch: 0 });
  expect((await lane({ sequence: 6 })).isCopyCut).toBe(false);
  expect((await lane({ sequence: 9 })).isCopyCut).toBe(true);
});

// Mutation: stopping-lanes.ts, `isCopyCut` false: by force nothing is ever settled.
describe("by force, a lane in a copy", () => {
  const isCut = async (seen: object | null, tails: Tails, options = {}): Promise<boolean> =>
    (await laneWhere(seen, tails, options)).isCopyCut;

  test("is given up where the copy's end is not stored", async () => {
    expect(await isCut({ phase: "snap" }, { live: 9, snap: 0 })).toBe(true);
    expect(await isCut({ phase: "snap" }, { live: 9 })).toBe(true);
    expect(await isCut({ phase: "snap" }, { live: 9, snap: 2 })).toBe(false);
    expect(await isCut({ phase: "snap" }, { live: 9, snap: 0 }, { areShardsAssigned: true })).toBe(false);
  });

  test("that it has not come to yet, first applies what comes before", async () => {
    expect(await isCut({ epoch: 1 }, { live: 9, snap: 0 })).toBe(false);
    expect(await isCut({ epoch: 1, phase: "snap" }, { live: 9, snap: 1 })).toBe(false);
    expect(await isCut({ epoch: 1, sequence: 9 }, { live: 9 })).toBe(true);
  });

  test("that nobody has told of yet, has nothing to come to only where nothing is stored", async () => {
    expect(await isCut({ epoch: 0, phase: "snap" }, { live: 9 })).toBe(false);
    expect(await isCut({ epoch: 0, phase: "snap" }, { snap: 0 })).toBe(false);
    expect(await isCut({ epoch: 0, phase: "snap" }, {})).toBe(true);
    expect(await isCut(null, {})).toBe(true);
  });
});
