import { setImmediate as turn } from "node:timers/promises";
import type { Bus } from "@sluice/bus";
import { ManualClock, Retryable } from "@sluice/runtime";
import { BatchKind, encodeBatch, liveSubject, recordKey, SlotSet, snapSubject } from "@sluice/wire";
import { afterEach, expect, test, vi } from "vitest";
import { CopyPermit } from "./copy-permit.ts";
import { SourceIntake, type IntakeOptions } from "./intake.ts";
import { ReplicaLink } from "./replica-link.ts";
import type { SourceFacts } from "./source-facts.ts";
import { groupCopyOf, placeOf, reportWith, storedRecords, StoredSubjects } from "./stored-subjects.sample.ts";

afterEach(() => void vi.restoreAllMocks());

/**
 * A source of that history that never answers, goes on in it or in a third one, or begins a full copy of which nothing comes, with the changes on a link of
 * their own where that is asked for. `told`: what it says of itself otherwise. Returns how often each link has said that it is alive.
 */
function serve(
  replid: string,
  answer: "nothing" | "own" | "third" | "full" | "split",
  told: Partial<SourceFacts> = {},
): number[] {
  const alive: number[] = [];
  const permit = { release: async () => Promise.resolve() };
  vi.spyOn(CopyPermit, "take").mockResolvedValue(permit as unknown as CopyPermit);
  vi.spyOn(ReplicaLink, "open").mockImplementation(async () => {
    let close = (): void => undefined;
    const closed = new Promise<never>((_, reject) => {
      close = () => reject(new Retryable("SRC-001", "source s0", "closed"));
    });
    closed.catch(() => undefined);
    const number = alive.push(0) - 1;
    const backlog = { first: 1, last: 100 };
    const facts = {
      version: 70_015,
      role: "master",
      replicaOf: "",
      replid,
      formerReplid: "",
      secondReplOffset: -1,
      backlog,
      valkeyVersion: 0,
      ...told,
    };
    const link = {
      facts: async () => Promise.resolve({ ...facts, keys: 1, databases: [0], backlogSizeBytes: 100, isCluster: false }),
      askRdbOnly: async () => Promise.resolve(answer === "split"),
      psync: async (asked: string | null) => {
        if (answer === "nothing") return closed;
        if (answer === "own" || answer === "third")
          return Promise.resolve({ kind: "continue", replid: answer === "own" ? replid : answer });
        return Promise.resolve(asked === null ? { kind: "full", replid, offset: 100 } : { kind: "continue", replid });
      },
      chunks: async function* chunks() {
        yield Buffer.from("\n");
        await closed;
      },
      keepAlive: () => alive[number]!++,
      isOpen: true,
      close,
    };
    return Promise.resolve(link as unknown as ReplicaLink);
  });
  return alive;
}

/** The intake of s0 with one lane of epoch 5, copies beside it, and a stream that takes nothing while anything of copy 2 is there. */
async function world(read: IntakeOptions["read"] = "primary") {
  const [clock, stored] = [new ManualClock(), new StoredSubjects()];
  for (const [subject, kind] of [
    [liveSubject("p", "s0", 0), BatchKind.fence],
    [snapSubject("p", 1, "s0", 0), BatchKind.snapshotEnd],
  ] as const) {
    const head = { kind, shard: "s0", epoch: 5, term: 1, previous: 50, last: 50, db: 0, replid: "r" };
    stored.put(subject, encodeBatch({ ...head, rows: null, body: Buffer.alloc(0), part: null, besideCopy: false }));
  }
  stored.putCopy(2, 0, 5, false);
  stored.putCopy(3, 0, 5, true);
  stored.beforeAppend = async () => {
    if (stored.copies(2)[0]?.[0] !== 0) throw new Retryable("BUS-005", "bus", "full");
    return Promise.resolve();
  };
  const shards = [{ id: "s0", host: "a", port: 1, slots: "0-16383", floor: 0 }];
  const records = storedRecords(new Map([[recordKey.topology("p"), { shards }]]));
  await reportWith(records, [groupCopyOf(2, "copying"), groupCopyOf(3, "stored")]);
  const stream = Object.assign(stored, { ensure: async () => Promise.resolve() });
  const bus = { records, maxBatchBytes: 1_000_000, stream: () => stream } as unknown as Bus;
  const leases = { during: async (_: string, signal: AbortSignal, run: (held: AbortSignal) => Promise<void>) => run(signal) };
  const of = { slots: SlotSet.all(), read, concurrentFullSyncs: 1, instance: "i", bus };
  const options = { ...placeOf(stored, clock), ...of, endpoint: { host: "a", port: 1 }, cut: 1, leases: leases as never };
  const stopping = new AbortController();
  const running = new SourceIntake(options as IntakeOptions)
    .run(stopping.signal, () => undefined)
    .catch((cause: unknown) => cause);
  /** Resolves with the fault that it has ended with, if it has. */
  const end = async (): Promise<unknown> => {
    stopping.abort();
    return running;
  };
  for (let looked = 0; looked < 500; looked++) await turn();
  return { stored, end };
}

// Mutations: link-session.ts, `shutOut` without `withoutDeadCopies`: nothing is ever stored again; with epoch 0: copy 3 goes, too.
test("a copy that broke off and fills the stream goes before the first fence; one that can be used stays", async () => {
  serve("r", "nothing");
  const { stored, end } = await world();
  expect(stored.copies(2, 3).map(([count]) => count)).toEqual([0, 2]);
  expect(stored.count(liveSubject("p", "s0", 0))).toBe(2);
  await end();
});

// Mutation: link-session.ts, `#removeFormer` without dead copies: copy 3 stays until the new epoch's copy is complete.
test("an epoch that begins takes the room of all copies for groups in the epoch before", async () => {
  serve("another", "full");
  const { stored, end } = await world();
  expect(stored.copies(2, 3).map(([count]) => count)).toEqual([0, 0]);
  expect(stored.count(liveSubject("p", "s0", 0))).toBe(3);
  await end();
});

// Mutation: link-session.ts, `#tick` says nothing before the copy is received, whatever brings it: the source gives the link up after its repl-timeout.
test("source-first: a link that brings the changes beside the copy says that it is alive, the copy's own does not", async () => {
  const alive = serve("another", "split");
  const { end } = await world();
  expect(alive.slice(-2)).toEqual([0, expect.toSatisfy((times: number) => times > 0)]);
  await end();
});

// Mutation: intake.ts, `isKnownHistory` always true: what nobody has compared with the lanes goes on in their epoch, behind a fence that says so.
test("applied-once: a source that goes on in another history than it has told of is not followed", async () => {
  serve("r", "third");
  const { stored, end } = await world();
  expect(stored.count(liveSubject("p", "s0", 0))).toBe(2);
  expect(await end()).toMatchObject({ code: "SRC-003", message: "the source's history changed between INFO and PSYNC" });
});

// Mutation: intake.ts, a source that is to be waited for is taken for one that must be copied.
test("source-first: a replica that is behind what the lanes hold is waited for, and not asked for a full copy", async () => {
  const backlog = { first: 1, last: 40 };
  const links = serve("r", "full", { role: "slave", backlog });
  const { end } = await world("replica");
  expect(links).toHaveLength(1);
  const message = "it has the stream up to 40, and the lanes hold it up to 50";
  expect(await end()).toMatchObject({ code: "SRC-003", message });
});

// Mutation: link-session.ts, the look at what was asked taken out: the shard halts over an error of our own, and the source is not asked again.
test("applied-once: a source that goes on where it was asked for a full copy is not followed", async () => {
  serve("another", "own");
  const { stored, end } = await world();
  expect(stored.count(liveSubject("p", "s0", 0))).toBe(2);
  expect(await end()).toMatchObject({ code: "SRC-001", message: "the source continues what nobody asked for" });
});
