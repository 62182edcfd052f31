import { describe, expect, test } from "vitest";
import { observeState, troubleOf, type LaneFacts, type ShardFacts, type StateFacts } from "./state.ts";

const shard: ShardFacts = { id: "s0", owner: "i0", floor: 0, seen: { phase: "streaming", epoch: 1, retry: null, halt: null } };
const lane: LaneFacts = {
  label: "main.s0.0",
  owner: "w0",
  seen: { phase: "live", epoch: 1, retry: null, halt: null },
  lagSeconds: 0,
};
const facts: StateFacts = {
  desired: "running",
  precheck: null,
  failure: null,
  isReleased: false,
  stop: null,
  previous: null,
  shards: [shard],
  lanes: [lane],
  watches: [],
  fullStream: null,
  cutover: null,
};
const shardIn = (seen: Partial<NonNullable<ShardFacts["seen"]>>): ShardFacts => ({
  ...shard,
  seen: { ...shard.seen!, ...seen },
});
const laneIn = (seen: Partial<NonNullable<LaneFacts["seen"]>>): LaneFacts => ({ ...lane, seen: { ...lane.seen!, ...seen } });
const stateOf = (change: Partial<StateFacts>): string => observeState({ ...facts, ...change }).state;

describe("observeState", () => {
  test("ready before a shard has reported, and says who is missing", () => {
    expect(
      observeState({ ...facts, shards: [{ ...shard, seen: null, owner: null }], lanes: [{ ...lane, seen: null }] }),
    ).toEqual({
      state: "ready",
      reason: "shard s0 has no ingest instance",
    });
  });

  test("copying while the shard sends it, a lane receives it, or a lane is still in an older epoch", () => {
    expect(stateOf({ shards: [shardIn({ phase: "copying" })] })).toBe("copying");
    expect(stateOf({ lanes: [laneIn({ phase: "snap" })] })).toBe("copying");
    expect(stateOf({ lanes: [lane, { ...lane, label: "b.s0.0", seen: null }] })).toBe("copying");
    expect(stateOf({ shards: [shardIn({ epoch: 2 })], previous: "synchronizing" })).toBe("copying");
  });

  // Mutation: state.ts, a lane's wait for its turn taken for a trouble: a pipeline is `retrying` for as long as a group is added to it.
  test("copying says for which group, where it is not for all of them, and what that waits for", () => {
    const retry = { endpoint: "source s0", since: 1, reason: "waits for the group's copy of shard s0", isTurn: true };
    const more = { ...laneIn({ phase: "snap", epoch: 0 }), label: "more.s0.0" };
    const told = (lanes: readonly LaneFacts[]): unknown => observeState({ ...facts, lanes, previous: "copying" });
    const reason = "a full copy for more is under way, and the other groups go on";
    expect(told([lane, more])).toEqual({ state: "copying", reason });
    const waits = { ...more, seen: { ...more.seen!, retry } };
    expect(told([lane, waits])).toEqual({ state: "copying", reason: `${reason}: ${retry.reason}` });
    expect(told([laneIn({ phase: "snap" }), more])).toEqual({ state: "copying", reason: "a full copy is under way" });
  });

  test("synchronizing needs every lane within 3 s, and is left only beyond 10 s", () => {
    const lag = (lagSeconds: number | null): Partial<StateFacts> => ({
      lanes: [lane, { ...lane, label: "b.s0.0", lagSeconds }],
    });
    expect(stateOf(lag(2.9))).toBe("synchronizing");
    expect(stateOf(lag(3))).toBe("catching-up");
    expect(stateOf(lag(null))).toBe("catching-up");
    expect(stateOf({ ...lag(9.9), previous: "synchronizing" })).toBe("synchronizing");
    expect(stateOf({ ...lag(null), previous: "synchronizing" })).toBe("synchronizing");
    expect(stateOf({ ...lag(10), previous: "synchronizing" })).toBe("catching-up");
    expect(stateOf({ ...lag(9.9), previous: "catching-up" })).toBe("catching-up");
  });

  test("a writer that has not read the mark yet brings no pipeline back to copying", () => {
    const lanes = [{ ...laneIn({ phase: "snap", epoch: 0 }), lagSeconds: null }];
    expect(stateOf({ lanes, previous: "synchronizing" })).toBe("synchronizing");
    expect(stateOf({ lanes, previous: "catching-up" })).toBe("catching-up");
    expect(stateOf({ lanes, previous: "copying" })).toBe("copying");
    expect(stateOf({ lanes, previous: null })).toBe("copying");
  });

  test("copying while a shard whose slots changed is still in the epoch of its old ones, or a shard or lane is new", () => {
    const previous = "synchronizing";
    expect(stateOf({ shards: [{ ...shard, floor: 1 }], previous })).toBe("copying");
    expect(stateOf({ shards: [{ ...shardIn({ epoch: 2 }), floor: 1 }], lanes: [laneIn({ epoch: 2 })], previous })).toBe(
      previous,
    );
    expect(stateOf({ shards: [shard, { ...shard, id: "s1", seen: null }], previous })).toBe("copying");
    expect(stateOf({ lanes: [lane, { ...lane, label: "main.s0.1", seen: null, lagSeconds: null }], previous })).toBe("copying");
  });

  test("a lane is measured by the epoch of its own shard", () => {
    const shards = [shardIn({ epoch: 3 }), { ...shard, id: "s1" }];
    const lanes = [laneIn({ epoch: 3 }), { ...lane, label: "main.s1.0" }];
    expect(stateOf({ shards, lanes })).toBe("synchronizing");
    expect(stateOf({ shards, lanes: [lane, { ...lane, label: "main.s1.0" }] })).toBe("copying");
  });

  test("retrying names who waits for what, also during a copy", () => {
    const retry = { endpoint: "source s0", since: 1, reason: "connect ECONNREFUSED" };
    expect(observeState({ ...facts, shards: [shardIn({ phase: "copying", retry })] })).toEqual({
      state: "retrying",
      reason: "shard s0 waits for source s0: connect ECONNREFUSED",
    });
  });

  test("a halt outweighs everything but a finished stop", () => {
    const halt = { code: "DST-004", message: "INCR failed", remedy: "…", at: 1 };
    const retry = { endpoint: "source s0", since: 1, reason: "…" };
    const halted = { lanes: [laneIn({ halt })], shards: [shardIn({ retry })] };
    expect(observeState({ ...facts, ...halted })).toEqual({ state: "failed", reason: "lane main.s0.0: DST-004 INCR failed" });
    expect(stateOf({ ...halted, stop: { isDone: true, reason: "stopped" } })).toBe("stopped");
  });

  test("what the router can't watch counts as well, also before there is a shard", () => {
    const retry = { endpoint: "source p", since: 1, reason: "connect ECONNREFUSED" };
    const halt = { code: "PIP-008", message: "the source is cluster now", remedy: "Make a new pipeline.", at: 1 };
    const nothing = { ...facts, shards: [], lanes: [] };
    expect(observeState({ ...nothing, watches: [{ retry, halt: null }] })).toEqual({
      state: "retrying",
      reason: "router waits for source p: connect ECONNREFUSED",
    });
    expect(
      observeState({
        ...facts,
        previous: "synchronizing",
        watches: [
          { retry, halt: null },
          { retry: null, halt },
        ],
      }),
    ).toEqual({
      state: "failed",
      reason: "router: PIP-008 the source is cluster now. Make a new pipeline.",
    });
    expect(observeState({ ...nothing, watches: [{ retry: null, halt: null }] })).toEqual({
      state: "ready",
      reason: "waiting for the router to look at the source",
    });
  });

  test("while it is being stopped the state stays what it is and the reason says what it waits for", () => {
    const away = { endpoint: "destination main", since: 1, reason: "refused" };
    const waiting = { ...facts, lanes: facts.lanes.map((one) => ({ ...one, seen: { ...one.seen!, retry: away } })) };
    expect(observeState({ ...waiting, stop: { isDone: false, reason: "stopping: …" } }).reason).toMatch(
      /^stopping: …; lane \S+ waits for destination main: refused$/,
    );
    expect(observeState({ ...facts, stop: { isDone: false, reason: "stopping: …" } })).toEqual({
      state: "synchronizing",
      reason: "stopping: …",
    });
  });

  test("a full stream is waited for, unless it cuts off a copy: then nothing can leave it", () => {
    const fullStream = { bytes: 990_000_000, limitBytes: 1_000_000_000, isCopyCut: false, neededBytes: 3_141_592_653 };
    expect(observeState({ ...facts, fullStream })).toEqual({
      state: "retrying",
      reason: "waits for bus: BUS-005 the stream is full: it may hold 1 GB",
    });
    const failed = observeState({ ...facts, fullStream: { ...fullStream, isCopyCut: true } });
    expect(failed.state).toBe("failed");
    expect(failed.reason).toMatch(
      /^BUS-006 the stream is full before the copy is complete: it may hold 1 GB; it needs about 3.2 GB\. Raise/,
    );
    const unknown = observeState({ ...facts, fullStream: { ...fullStream, isCopyCut: true, neededBytes: null } });
    expect(unknown.reason).toContain("it needs more.");
  });
});

describe("what the operator wants", () => {
  const halt = { code: "SRC-015", message: "source s0 was away", remedy: "Bring it back.", at: 1 };
  const nothing = { shards: [], lanes: [] };

  test("keeps a pipeline until its start is asked for, and has it checked then", () => {
    expect(stateOf({ ...nothing, desired: "created" })).toBe("created");
    expect(stateOf({ ...nothing, desired: "checking" })).toBe("prechecking");
    const failed = { isPassed: false, reason: "SRC-001 source: refused" };
    expect(observeState({ ...facts, desired: "checking", precheck: failed })).toEqual({
      state: "blocked",
      reason: "SRC-001 source: refused",
    });
    expect(stateOf({ desired: "checking", precheck: { isPassed: true, reason: "" } })).toBe("ready");
  });

  test("a retry window that has closed fails it, with what to do", () => {
    expect(observeState({ ...facts, desired: "failed", failure: halt })).toEqual({
      state: "failed",
      reason: "SRC-015 source s0 was away. Bring it back.",
    });
  });

  test("paused it is when its lanes are taken back; what its source waits for is told, and a halt of it fails it", () => {
    const desired = "paused" as const;
    expect(observeState({ ...facts, desired })).toEqual({
      state: "synchronizing",
      reason: "pausing: lanes end what they are at",
    });
    const isReleased = true;
    const lanes = [laneIn({ halt })];
    expect(stateOf({ desired, isReleased, lanes })).toBe("paused");
    const retry = { endpoint: "source s0", since: 1, reason: "refused" };
    expect(observeState({ ...facts, desired, isReleased, shards: [shardIn({ retry })] })).toEqual({
      state: "paused",
      reason: "paused by the operator; what the source sends is stored meanwhile; shard s0 waits for source s0: refused",
    });
    expect(stateOf({ desired, isReleased, shards: [shardIn({ halt })] })).toBe("failed");
    expect(stateOf({ desired: "running", previous: "paused", lanes: [laneIn({ phase: "snap", epoch: 0 })] })).not.toBe(
      "copying",
    );
  });
});

describe("a cut-over", () => {
  const cutover = { phase: "draining", reason: "waits until …", halt: null, retry: null } as const;
  const halt = { code: "DST-013", message: "slots moved", remedy: "Set them by hand.", at: 1 };

  test("is under way whatever the pipeline does meanwhile, until it is done", () => {
    expect(observeState({ ...facts, cutover })).toEqual({ state: "cutting-over", reason: "waits until …" });
    const stop = { isDone: true, reason: "stopped" };
    expect(stateOf({ cutover: { ...cutover, phase: "stopping" }, stop })).toBe("cutting-over");
    expect(stateOf({ cutover: { ...cutover, phase: "settling" }, shards: [], lanes: [] })).toBe("cutting-over");
    expect(observeState({ ...facts, cutover: { ...cutover, phase: "done" }, stop })).toMatchObject({ state: "cut-over" });
  });

  test("fails with a retry window that closes", () => {
    expect(stateOf({ cutover, desired: "failed", failure: halt })).toBe("failed");
    expect(stateOf({ cutover: { ...cutover, phase: "settling" }, desired: "failed" })).toBe("cutting-over");
  });

  test("fails with the pipeline while that has to run, and with a destination that can't be settled", () => {
    const lanes = [laneIn({ halt: { ...halt, code: "DST-004" } })];
    expect(stateOf({ cutover, lanes })).toBe("failed");
    expect(stateOf({ cutover: { ...cutover, phase: "settling" }, lanes })).toBe("cutting-over");
    expect(observeState({ ...facts, cutover: { ...cutover, phase: "settling", halt } })).toEqual({
      state: "failed",
      reason: "cutting over: DST-013 slots moved. Set them by hand.",
    });
    const retry = { endpoint: "destination main", since: 1, reason: "refused" };
    expect(observeState({ ...facts, cutover: { ...cutover, phase: "settling", retry } }).reason).toBe(
      "waits until …; waits for destination main: refused",
    );
  });

  test("waits for what keeps the pipeline from running as it should", () => {
    expect(troubleOf(facts)).toBeNull();
    expect(troubleOf({ ...facts, lanes: [{ ...lane, lagSeconds: 100 }] })).toBeNull();
    expect(troubleOf({ ...facts, lanes: [laneIn({ phase: "snap" })] })).toBe("copying: a full copy is under way");
    expect(troubleOf({ ...facts, shards: [] })).toContain("waiting for the router");
    expect(troubleOf({ ...facts, shards: [{ ...shard, owner: null }] })).toBe("shard s0 has no ingest instance");
  });
});
