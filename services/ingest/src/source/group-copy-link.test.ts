import { setImmediate as turn } from "node:timers/promises";
import type { Bus } from "@sluice/bus";
import { ManualClock } from "@sluice/runtime";
import { SlotSet } from "@sluice/wire";
import { afterEach, expect, test, vi } from "vitest";
import { BacklogBound } from "../lanes/backlog-bound.ts";
import { GroupCopyLink } from "./group-copy-link.ts";
import type { PsyncReply } from "./psync-reply.ts";
import { RDB_BYTES, serveCopy } from "./served-copy.sample.ts";
import { placeOf, StoredSubjects } from "./stored-subjects.sample.ts";

afterEach(() => void vi.restoreAllMocks());

/** Copy 2 of s0, whose changes are stored in two lanes as those of history r. */
function world() {
  const [clock, stored] = [new ManualClock(), new StoredSubjects()];
  const begun = vi.fn<(offset: number) => Promise<void>>(async () => Promise.resolve());
  const of = { slots: SlotSet.all(), read: "primary" as const, endpoint: { host: "a", port: 1 }, copy: 2, begun };
  const head = { shard: "s0", epoch: 5, term: 1, replid: "r" };
  const bus = { maxBatchBytes: 1_000_000 } as unknown as Bus;
  const link = new GroupCopyLink({ ...placeOf(stored, clock), ...of, cut: 2, head, bus, received: () => undefined });
  return { clock, stored, begun, link };
}

test("a copy of the history whose changes are stored is stored, in every lane", async () => {
  serveCopy(RDB_BYTES);
  const { stored, begun, link } = world();
  await link.run(new AbortController().signal);
  expect(begun.mock.calls).toEqual([[100, 1]]);
  expect(stored.copies(2)[0]?.map((count) => count > 0)).toEqual([true, true, false, false]);
});

const full = (replid: string): PsyncReply => ({ kind: "full", replid, offset: 100 });

// Mutations: group-copy-link.ts, either look at the history taken out: a copy is stored, as if its offset were one in the history of the lanes' changes;
// an answer of another kind taken for a copy's.
test.each<[string, string, PsyncReply, string, string[]]>([
  ["says that its history is another one", "another", full("another"), "SRC-003", []],
  ["fails over before it answers", "r", full("another"), "SRC-003", ["copy"]],
  ["goes on instead of copying", "r", { kind: "continue", replid: "r" }, "SRC-001", ["copy"]],
])("applied-once: nothing of a copy is stored where the source %s", async (_, told, reply, code, wanted) => {
  const asked = serveCopy(RDB_BYTES, told, reply);
  const { stored, begun, link } = world();
  await expect(link.run(new AbortController().signal)).rejects.toMatchObject({ code, endpoint: "source s0" });
  expect(asked).toEqual(wanted);
  expect(begun).not.toHaveBeenCalled();
  expect(stored.copies(2)).toEqual([[0, 0, 0, 0]]);
});

// Mutation: group-copy-link.ts, the copy goes on however long nothing is stored: the source's child waits for it, and keeps what clients write.
test("source-first: inside the RDB, a copy is given up when the backlog is full and the bus stores nothing for 10 s", async () => {
  serveCopy(RDB_BYTES - 1);
  const { clock, link } = world();
  vi.spyOn(BacklogBound.prototype, "isFull", "get").mockReturnValue(true);
  const waits = vi.spyOn(BacklogBound.prototype, "roomWithin");
  const ending = new AbortController();
  let fault: unknown = null;
  const running = link.run(ending.signal).catch((cause: unknown) => (fault = cause));
  for (let look = 0; look < 1_000 && waits.mock.calls.length === 0; look++) await turn();
  await clock.advance(9_999);
  expect(fault).toBeNull();
  await clock.advance(1);
  const message = "the bus stored nothing of a copy for 10000 ms; it is given up";
  expect(fault).toMatchObject({ code: "BUS-001", endpoint: "bus", message });
  ending.abort();
  await running;
});
