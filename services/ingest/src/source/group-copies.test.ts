import { setImmediate as turn } from "node:timers/promises";
import type { Bus } from "@sluice/bus";
import { ManualClock, silentLog } from "@sluice/runtime";
import { recordKey, SlotSet, snapSubject, type GroupCopy } from "@sluice/wire";
import { afterEach, expect, test, vi } from "vitest";
import { CopyPermit } from "./copy-permit.ts";
import { CopyTries } from "./copy-tries.ts";
import { GroupCopies } from "./group-copies.ts";
import { RDB_BYTES, serveCopy } from "./served-copy.sample.ts";
import { groupCopyOf, placeOf, recordedShard, reportWith, storedRecords, StoredSubjects } from "./stored-subjects.sample.ts";

afterEach(() => void vi.restoreAllMocks());

/** As `serveCopy`, with a permit for every copy. */
function serve(bytes: number): void {
  const permit = { release: async () => Promise.resolve() };
  vi.spyOn(CopyPermit, "take").mockResolvedValue(permit as unknown as CopyPermit);
  serveCopy(bytes);
}

/** A shard that streams in epoch 5, with a group that was added. */
async function world(copies: readonly GroupCopy[] = []) {
  const [clock, stored, tries] = [new ManualClock(), new StoredSubjects(), new CopyTries()];
  const destinations = [{ group: "main" }, { group: "more" }];
  const spec = { pipeline: { destinations }, additions: { more: { number: 1, above: 0 } } };
  const records = storedRecords(new Map([[recordKey.spec("p"), spec]]));
  const report = await reportWith(records, copies);
  const bus = { records, maxBatchBytes: 1_000_000 } as unknown as Bus;
  const endpoint = { host: "a", port: 1 };
  const of = { slots: SlotSet.all(), read: "primary" as const, concurrentFullSyncs: 1, instance: "i", endpoint, bus };
  const head = { shard: "s0", epoch: 5, term: report.term, replid: "r" };
  const options = { ...placeOf(stored, clock), ...of, cut: 2, report, head, tries, leases: null as never };
  const until = async (isSo: () => Promise<boolean>): Promise<void> => {
    for (let look = 0; look < 1_000 && !(await isSo()); look++) await turn();
    expect(await isSo()).toBe(true);
  };
  const phase = async (): Promise<string | undefined> => (await recordedShard(records)).copies?.at(-1)?.phase;
  return { clock, stored, tries, records, options, until, phase };
}

// Mutation: group-copies.ts, the count behind an ended link taken out; the explanation taken out.
test("copies that the first link takes with it are counted, and when the next is spaced its reason is told", async () => {
  serve(100);
  const { clock, tries, records, options, until, phase } = await world();
  for (let broken = 1; broken <= 3; broken++) {
    const link = new AbortController();
    const running = new GroupCopies(options).run(link.signal);
    await until(async () => (await phase()) === "copying" && (await recordedShard(records)).lastCopy === broken + 1);
    link.abort();
    await running;
    expect(tries.broken).toBe(broken);
  }
  const link = new AbortController();
  const running = new GroupCopies(options).run(link.signal);
  await until(async () => (await phase()) === "void");
  expect((await recordedShard(records)).copies).toMatchObject([{ copy: 4, retry: { reason: tries.why, isTurn: true } }]);
  expect(tries.why).toBe("the link beside which it was made ended");
  await clock.advance(14_000);
  expect((await recordedShard(records)).lastCopy).toBe(4);
  await clock.advance(2_000);
  await until(async () => (await recordedShard(records)).lastCopy === 5);
  link.abort();
  await running;
});

// Mutation: group-copies.ts, counted in every phase.
test("a link that ends while a copy waits for its turn costs the source nothing, and is not counted", async () => {
  vi.spyOn(CopyPermit, "take").mockImplementation(
    async (_, signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve(null))),
  );
  const { tries, options, until, phase } = await world();
  const link = new AbortController();
  const running = new GroupCopies(options).run(link.signal);
  await until(async () => (await phase()) === "waiting");
  link.abort();
  await running;
  expect(tries.broken).toBe(0);
});

// Mutation: group-copies.ts, what is void removed from the shard's own lanes alone.
test("of a void copy nothing stays in lanes that have moved to another shard", async () => {
  const { stored, records, options, until } = await world([groupCopyOf(2, "stored", 4)]);
  for (const lane of [0, 3]) stored.putCopy(2, lane, 4, true);
  vi.spyOn(CopyPermit, "take").mockResolvedValue(null);
  const link = new AbortController();
  const running = new GroupCopies({ ...options, cut: 4 }).run(link.signal);
  await until(async () => (await recordedShard(records)).copies?.every(({ copy }) => copy !== 2) === true);
  link.abort();
  await running;
  expect(stored.copies(2)).toEqual([[0, 0, 0, 0]]);
});

// Mutations: group-copy-link.ts, a patience of 10 s; a patience that counts from where it last looked, whatever was stored since.
test("with the source done, a copy gives way to the first link when the bus stores nothing for 7 s", async () => {
  serve(RDB_BYTES);
  const { clock, stored, tries, options, until, phase } = await world();
  let appends = 0;
  stored.beforeAppend = async () => (++appends === 1 ? clock.sleep(5_000) : new Promise(() => undefined));
  const link = new AbortController();
  const running = new GroupCopies({ ...options, lanes: [0, 1] }).run(link.signal);
  await until(async () => Promise.resolve(appends > 1));
  await clock.advance(11_000);
  expect([await phase(), tries.broken]).toEqual(["copying", 0]);
  await clock.advance(1_500);
  await until(async () => (await phase()) === "void");
  expect(tries.why).toMatch(/the bus stored nothing of a copy for 7000 ms/);
  link.abort();
  await running;
});

// Mutations: group-copies.ts, a number taken without a look at the stream: what stands there counts as part of the copy; no end to the looking.
test("a copy gets a number under which nothing stands in the stream; where a thousand are taken there is none, and it is told why", async () => {
  vi.spyOn(CopyPermit, "take").mockResolvedValue(null);
  const { stored, records, options, until } = await world();
  const log = silentLog();
  const warned = vi.spyOn(log, "warn");
  const look = async (isSo: () => Promise<boolean>): Promise<void> => {
    const link = new AbortController();
    const running = new GroupCopies({ ...options, log }).run(link.signal);
    await until(isSo);
    link.abort();
    await running;
  };
  for (let copy = 2; copy <= 1_001; copy++) stored.putCopy(copy, 1, 5, true);
  const why = "copies 2 to 1001 of shard s0 stand in the stream, and no record tells of them";
  await look(async () => Promise.resolve(warned.mock.calls.length > 0));
  expect(warned.mock.calls).toEqual([[`no look at groups that were added: ${why}`]]);
  expect((await recordedShard(records)).lastCopy).toBeUndefined();
  await stored.trim(snapSubject("p", 1_001, "s0", 1), Infinity);
  await look(async () => (await recordedShard(records)).lastCopy === 1_001);
});
