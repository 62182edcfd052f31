import { ManualClock, silentLog } from "@sluice/runtime";
import { recordKey, windowsRecord, type HaltRecord, type RetryRecord } from "@sluice/wire";
import { beforeEach, describe, expect, test } from "vitest";
import { SampleRecords } from "../desk/records.sample.ts";
import { PipelineBook } from "./pipeline-book.ts";
import type { LaneFacts } from "./state.ts";
import { WindowKeeper } from "./window-keeper.ts";

const pipeline = { name: "p", source: { url: "redis://a:1" }, destinations: [{ url: "redis://b:1" }], retryWindow: "20s" };
const retry: RetryRecord = { endpoint: "source s0", since: 1, reason: "refused" };

let records: SampleRecords;
let clock: ManualClock;
beforeEach(() => {
  records = new SampleRecords();
  clock = new ManualClock();
  wish("running");
});

function wish(desired: string, isNew = false): void {
  records.write(recordKey.spec("p"), { pipeline, desired, createdAt: 1, isNew });
}

/** A coordinator that has just read all records, and looks once a second. */
function takeOver(busAwayMs = 0) {
  const book = new PipelineBook();
  const read = () => {
    for (const [key, stored] of records.stored) book.take({ key, ...stored });
    return book.get("p")!;
  };
  const keeper = new WindowKeeper(read(), { records: records as never, clock, log: silentLog() }, busAwayMs);
  const look = async (waiting: RetryRecord | null, halt: HaltRecord | null = null) => {
    const { spec } = read();
    const seen = { phase: "connecting" as const, epoch: 1, halt: null, retry: waiting };
    const shards = [{ id: "s0", owner: "i0", floor: 0, seen }];
    const lane = { phase: "live" as const, epoch: 1, halt, retry: null };
    const lanes = [{ label: "main.s0.0", owner: "w0", lagSeconds: 0, seen: lane }];
    return keeper.look(spec!.value, spec!.revision, { shards, lanes, watches: [] });
  };
  const lookFor = async (seconds: number, waiting: RetryRecord | null, halt: HaltRecord | null = null): Promise<string[]> => {
    const told: string[] = [];
    for (let second = 0; second < seconds; second++) {
      told.push(...(await look(waiting, halt)).map(({ text }) => text));
      await clock.advance(1_000);
    }
    return told;
  };
  /** Of a lane that is as it should be but for `change`, in the epoch of its shard. */
  const lookAt = async (change: Partial<NonNullable<LaneFacts["seen"]>> & { lagSeconds?: number | null }, epoch = 1) => {
    const { spec } = read();
    const { lagSeconds = 0, ...said } = change;
    const well = { epoch, halt: null, retry: null };
    const shards = [{ id: "s0", owner: "i0", floor: 0, seen: { ...well, phase: "streaming" as const } }];
    const lanes = [{ label: "main.s0.0", owner: "w0", lagSeconds, seen: { ...well, phase: "live" as const, ...said } }];
    await keeper.look(spec!.value, spec!.revision, { shards, lanes, watches: [] });
  };
  return { keeper, look, lookFor, lookAt };
}

const counted = () => windowsRecord.parse(records.stored.get(recordKey.windows("p"))?.value);

describe("WindowKeeper", () => {
  test("fails the pipeline when a window closes, and not before; what opened it and that it closed again is told", async () => {
    const { lookFor, look } = takeOver();
    expect(await lookFor(20, retry)).toEqual(["waits for source s0, for 20 s at most: refused"]);
    expect(await look(null)).toEqual([{ kind: "retry", text: "source s0 is there again after 19 s" }]);
    expect(counted().windows).toEqual([]);
    await lookFor(20, retry);
    expect(records.spec.desired).toBe("running");
    await look(retry);
    expect(records.spec).toMatchObject({ desired: "failed", failure: { code: "SRC-015" } });
  });

  // Mutation: window-keeper.ts, #begin without what was carried: it fails 15 s late.
  test("a coordinator that takes over goes on counting where the other one was, but for the last 5 s", async () => {
    await takeOver().lookFor(16, retry);
    expect(counted().windows[0]?.elapsedMs).toBe(15_000);
    await clock.advance(3_600_000);
    const second = takeOver();
    await second.lookFor(5, retry);
    expect(records.spec.desired).toBe("running");
    await second.look(retry);
    expect(records.spec.desired).toBe("failed");
  });

  test("every start counts anew", async () => {
    const { lookFor, look } = takeOver();
    await lookFor(15, retry);
    wish("running");
    await lookFor(20, retry);
    expect(records.spec.desired).toBe("running");
    await look(retry);
    expect(records.spec.desired).toBe("failed");
  });

  test("somebody who stops it in the same moment is not overruled", async () => {
    const { lookFor, look } = takeOver();
    await lookFor(20, retry);
    records.meddle = (key) => {
      if (key === recordKey.windows("p")) wish("stopped");
    };
    await look(retry);
    expect(records.spec.desired).toBe("stopped");
  });

  test("a bus that was away counts once, against its own window", async () => {
    const { look } = takeOver(19_000);
    await look(null);
    expect(records.spec.desired).toBe("running");
    await takeOver(20_000).look(null);
    expect(records.spec).toMatchObject({ desired: "failed", failure: { code: "BUS-010" } });
    wish("stopped");
    await takeOver(20_000).look(null);
    expect(records.spec.desired).toBe("stopped");
  });

  // Mutation: window-keeper.ts, what the bus was away for forgotten before the failure is written.
  test("a bus that goes away again before that could be written is not forgotten", async () => {
    const { look } = takeOver(20_000);
    records.meddle = () => {
      records.meddle = () => undefined;
      throw new Error("away again");
    };
    await expect(look(null)).rejects.toThrow("away again");
    expect(records.spec.desired).toBe("running");
    await look(null);
    expect(records.spec).toMatchObject({ desired: "failed", failure: { code: "BUS-010" } });
  });

  test("how long nothing is applied is counted from the first failure on, whoever counts", async () => {
    await takeOver().lookFor(16, retry);
    wish("paused");
    const { lookFor } = takeOver();
    await lookFor(11, null);
    expect(counted().idleMs).toBe(25_000);
    wish("stopped");
    const next = takeOver();
    await next.lookFor(6, null);
    expect(counted().idleMs).toBe(30_000);
    wish("running");
    await next.lookFor(7, retry);
    expect(counted().idleMs).toBeGreaterThanOrEqual(35_000);
    await next.look(null);
    expect(counted().idleMs).toBe(0);
  });

  // Mutation: window-keeper.ts, `#count` that forgets where nothing has halted: a resume with the cause still there begins at 0.
  test("neither a start nor an instance that begins anew makes it forgotten; that every lane has caught up does", async () => {
    const halt = { code: "DST-004", message: "m", remedy: "r", at: 1 };
    const { lookFor, lookAt } = takeOver();
    await lookFor(11, null, halt);
    wish("running");
    const behind = { lagSeconds: null };
    const from = counted().idleMs;
    expect(from).toBeGreaterThanOrEqual(6_000);
    for (const lane of [behind, { lagSeconds: 11 }, { epoch: 0 }, { phase: "snap" as const }]) {
      await lookAt(lane);
      await lookFor(6, null, halt);
    }
    expect(counted().idleMs).toBeGreaterThanOrEqual(from + 20_000);
    const { revision } = records.stored.get(recordKey.spec("p"))!;
    await lookAt({ written: { by: "w0", revision: revision - 1 } });
    expect(counted().idleMs, "what was said before the start").toBeGreaterThanOrEqual(from + 20_000);
    await lookAt({ written: { by: "w0", revision: revision + 1 } });
    expect(counted().idleMs).toBe(0);
  });

  // Mutation: window-keeper.ts, waits not counted while it runs: a window that closes in time is as if there had been none.
  test("what was waited for counts when the endpoint is there again, until it is made up for", async () => {
    const { lookFor, lookAt } = takeOver();
    await lookFor(15, retry);
    await lookAt({ lagSeconds: 15 });
    expect(counted()).toMatchObject({ windows: [], idleMs: 14_000 });
    await clock.advance(3_600_000);
    await lookAt({ lagSeconds: 15 });
    expect(counted().idleMs, "a lane that catches up is not idle").toBe(14_000);
    await lookAt({});
    expect(counted().idleMs).toBe(0);
  });

  // Mutation: window-keeper.ts, `#idleEpoch` never compared: a copy that ends the idle time would be asked for again and again.
  test("a copy of everything makes it forgotten, one that began before what was counted does not", async () => {
    const halt = { code: "DST-004", message: "m", remedy: "r", at: 1 };
    const copying = { phase: "snap" as const, lagSeconds: null };
    const { lookFor, lookAt } = takeOver();
    await lookFor(11, null, halt);
    await lookAt(copying, 0);
    await lookAt(copying, 1);
    expect(counted().idleMs, "the same epoch").toBeGreaterThanOrEqual(6_000);
    await lookAt(copying, 2);
    expect(counted().idleMs).toBe(0);
    await lookAt({ ...copying, halt }, 2);
    await clock.advance(6_000);
    await lookAt({ ...copying, halt }, 2);
    await lookAt(copying, 2);
    expect(counted().idleMs, "what was counted in the copy").toBe(6_000);
    const other = takeOver();
    await other.lookAt(copying, 0);
    await other.lookAt(copying, 2);
    await clock.advance(6_000);
    await other.lookAt({ ...copying, halt }, 2);
    expect(counted().idleMs, "a shard that says nothing of its epoch yet").toBeGreaterThanOrEqual(6_000);
  });

  // Mutation: window-keeper.ts, a pipeline that drains is not counted: its source is not read for all that time.
  test("a drain counts, as long as it is", async () => {
    wish("stopped");
    records.write(recordKey.state("p"), { state: "catching-up", since: clock.nowMs(), reason: "" });
    await takeOver().lookFor(11, null);
    expect(counted().idleMs).toBe(6_000);
  });

  // Mutation: window-keeper.ts, `hasHalted` always false.
  test("so it is counted while a lane has halted, though the others go on; until it is begun anew", async () => {
    const halt = { code: "DST-004", message: "m", remedy: "r", at: 1 };
    const { lookFor } = takeOver();
    await lookFor(6, null);
    await lookFor(12, null, halt);
    expect(counted().idleMs).toBeGreaterThanOrEqual(6_000);
    await takeOver().lookFor(12, null, halt);
    expect(counted().idleMs).toBeGreaterThanOrEqual(15_000);
    await lookFor(1, null);
    expect(counted().idleMs).toBe(0);
  });

  // Mutation: window-keeper.ts, isCounted without `checking`.
  test("prechecks that forbid the start do not make it forgotten; before the first start there is nothing to forget", async () => {
    wish("paused");
    const { lookFor } = takeOver();
    await lookFor(11, null);
    wish("checking");
    await lookFor(11, null);
    expect(counted().idleMs).toBeGreaterThanOrEqual(20_000);
    wish("checking", true);
    await lookFor(6, null);
    expect(counted().idleMs).toBe(0);
  });

  // Mutation: window-keeper.ts, #restedMs always 0.
  test("what passed while no coordinator counted is taken from the state, by the wall clock", async () => {
    wish("stopped");
    await takeOver().lookFor(6, null);
    records.write(recordKey.state("p"), { state: "stopped", since: clock.nowMs() - 5_000, reason: "" });
    await clock.advance(3_600_000);
    await takeOver().look(null);
    expect(counted().idleMs).toBe(3_605_000);
    wish("running");
    await takeOver().look(null);
    expect(counted().idleMs).toBe(0);
  });
});
