import { encodeCommand } from "@sluice/redis";
import { ManualClock, Retryable } from "@sluice/runtime";
import { BatchKind, type Batch } from "@sluice/wire";
import { expect, test } from "vitest";
import type { LaneTail } from "../lanes/resume-point.ts";
import { findAttachment, whyNotFirst, type AskedLink } from "./attachment.ts";
import type { SourceFacts } from "./source-facts.ts";
import { storedRecords } from "./stored-subjects.sample.ts";

const facts: SourceFacts = {
  version: 70_015,
  valkeyVersion: 0,
  role: "master",
  replicaOf: "",
  replid: "r",
  formerReplid: "0000",
  secondReplOffset: -1,
  backlog: { first: 1, last: 500 },
  backlogSizeBytes: 1_000,
  keys: 3,
  databases: [0],
  isCluster: true,
};
const nowhere = { host: "127.0.0.1", port: 1 };
const find = async (changes: Partial<SourceFacts>, source?: Source): Promise<unknown> =>
  findAttachment(
    "s0",
    nowhere,
    { ...facts, ...changes },
    new ManualClock(),
    new AbortController().signal,
    // Nothing of this may connect anywhere.
    async () => {
      if (source === undefined) throw new Error("nothing is to be asked");
      return source.open();
    },
  );

const standalone = { isCluster: false, backlog: { first: 1, last: 27 } };
const commands = encodeCommand(["SET", "k", "v"]);
const stats = "cmdstat_ping:calls=1\r\n";
const REFUSED = "source s0 can't be attached to without a copy: ";

type Backlog = Buffer | "full" | "third" | "away";

/** A source that answers to each PSYNC with the next of `backlogs`: its bytes, "full", "third" for another history, or "away" where no link comes about. */
class Source {
  /** Offsets that were asked for. */
  readonly psyncs: number[] = [];
  readonly #backlogs: Backlog[];
  readonly #changes: Partial<SourceFacts>;
  readonly #texts: readonly (string | null)[];

  constructor(backlogs: readonly Backlog[], texts: readonly (string | null)[] = [stats, ""], changes = {}) {
    this.#backlogs = [...backlogs];
    this.#texts = texts;
    this.#changes = changes;
  }

  open(): AskedLink {
    if (this.#backlogs[0] === "away") throw new Retryable("SRC-001", "source s0", "away");
    let bytes: Buffer = Buffer.alloc(0);
    return {
      facts: async () => ({ ...facts, ...standalone, ...this.#changes }),
      text: async ([name]) => this.#texts[name === "INFO" ? 0 : 1] ?? null,
      psync: async (_, offset) => {
        this.psyncs.push(offset);
        const next = this.#backlogs.shift();
        if (next === "third") return { kind: "continue", replid: "third" };
        if (!Buffer.isBuffer(next)) return { kind: "full", replid: "r", offset: 99 };
        bytes = next;
        return { kind: "continue", replid: null };
      },
      async *chunks() {
        yield bytes;
      },
      close: () => undefined,
    };
  }
}

test("a cluster's node has one database: it is attached to where it stands", async () => {
  expect(await find({ databases: [0, 3] })).toEqual({ replid: "r", offset: 500, db: 0 });
});

test("the last SELECT in the backlog counts, whatever clients use", async () => {
  const window = Buffer.concat([encodeCommand(["SELECT", "5"]), commands]);
  const source = new Source([window], [null, null]);
  const backlog = { first: 1, last: window.length };
  expect(await find({ ...standalone, backlog }, source)).toEqual({ replid: "r", offset: window.length, db: 5 });
});

// Mutation seen to fail it: attachment.ts, `settled` answers 0, or `databases[0] ?? 0`.
test("without a SELECT it is database 0 if nobody can have been in another one, and a refusal otherwise", async () => {
  expect(await find(standalone, new Source([commands]))).toEqual({ replid: "r", offset: 27, db: 0 });
  const nothing = { ...standalone, backlog: { first: 501, last: 500 } };
  expect(await find(nothing, new Source([]))).toEqual({ replid: "r", offset: 500, db: 0 });
  const untold = `${REFUSED}its backlog does not tell which database its stream is in`;
  const refused = async (changes: Partial<SourceFacts>, source: Source, why: string): Promise<void> =>
    expect(find({ ...standalone, ...changes }, source)).rejects.toMatchObject({ code: "SRC-018", message: untold + why });
  const uncertain = ", and that it is 0 is not certain: ";
  await refused({ databases: [3] }, new Source([commands]), `${uncertain}keys stand in database 3`);
  const drained = new Source([commands], ["cmdstat_select:calls=2\r\n", ""]);
  await refused({ databases: [0] }, drained, `${uncertain}its clients have called SELECT`);
  await refused({}, new Source([commands], [stats, " flags=N db=1 "]), `${uncertain}a client is in database 1`);
  await refused({}, new Source([commands], [stats, null]), `${uncertain}it does not let us ask CLIENT LIST (+client|list)`);
  await refused({}, new Source([Buffer.from("x".repeat(27))]), ": what it holds last can't be read as commands");
});

// Mutations seen to fail it: attachment.ts, `lookAgain` that looks without end, or passes a Retryable on: the source forks each time.
test("a source that answers with a full copy is asked once more, for less, as it stands by then; and never a third time", async () => {
  const backlog = { first: 1, last: 8_000 };
  const full = { ...standalone, backlog, backlogSizeBytes: 8_000 };
  const grown = { replid: "r2", backlog: { first: 9_001, last: 17_000 }, backlogSizeBytes: 8_000 };
  const window = Buffer.concat([encodeCommand(["SELECT", "4"]), encodeCommand(["SET", "k", "v".repeat(900)])]);
  const source = new Source(["full", window], undefined, { ...grown, backlog: { first: 9_001, last: 16_000 + window.length } });
  expect(await find(full, source)).toEqual({ replid: "r2", offset: 16_000 + window.length, db: 4 });
  expect(source.psyncs).toEqual([4_000, 15_000 + window.length]);
  const twice = new Source(["full", "full", window], undefined, grown);
  await expect(find(full, twice)).rejects.toMatchObject({
    code: "SRC-018",
    message: expect.stringContaining("and so it did again") as string,
  });
  expect(twice.psyncs).toHaveLength(2);
  const gone = new Source(["full", "away"], undefined, grown);
  await expect(find(full, gone)).rejects.toMatchObject({ code: "SRC-018" });
  const demoted = new Source(["full", window], undefined, { ...grown, role: "slave" });
  await expect(find(full, demoted)).rejects.toMatchObject({ code: "SRC-018" });
});

// Mutation: attachment.ts, the answer's history not compared: the database is read from what another history has at those offsets.
test("a source that fails over while it is asked for its backlog is asked another time", async () => {
  const failedOver = find(standalone, new Source(["third"]));
  await expect(failedOver).rejects.toMatchObject({ name: "Retryable", code: "SRC-003", endpoint: "source s0" });
});

test.each<[string, Partial<SourceFacts>]>([
  ["it names no replication id, as Redis before 4.0 does not", { replid: "" }],
  ["it keeps no backlog, since no replica was attached to it lately", { backlog: null }],
])("refused by name: %s", async (why, changes) => {
  await expect(find(changes)).rejects.toMatchObject({ code: "SRC-018", message: `${REFUSED}${why}` });
});

const tail = (kind: BatchKind, epoch: number): LaneTail => ({ live: { kind, epoch } as Batch, snap: null });

// Mutations: attachment.ts, the look at the tails taken out: a shard whose record is lost is attached to behind what was written meanwhile; every
// tail taken for changes: an attachment that broke off is never tried again.
test("loud: a shard whose record is lost, and whose lanes hold changes, is not attached to anew; fences alone promise nothing", async () => {
  const whyNot = async (...tails: readonly LaneTail[]): Promise<string | null> =>
    whyNotFirst(storedRecords(), { pipeline: "p", floor: 0, epoch: 0, tails });
  const lost = "it was read before, and its record is lost";
  expect(await whyNot(tail(BatchKind.fence, 2), tail(BatchKind.changes, 2))).toBe(lost);
  expect(await whyNot(tail(BatchKind.heartbeat, 1))).toBe(lost);
  expect(await whyNot({ live: null, snap: null }, tail(BatchKind.fence, 2))).toBeNull();
});
