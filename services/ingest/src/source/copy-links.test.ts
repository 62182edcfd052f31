import { setImmediate as turn } from "node:timers/promises";
import { ManualClock, Retryable, silentLog } from "@sluice/runtime";
import { expect, test } from "vitest";
import { askForCopy, type CopyLinks } from "./copy-links.ts";
import type { PsyncReply } from "./psync-reply.ts";
import type { ReplicaLink } from "./replica-link.ts";
import { readFacts, type SourceFacts } from "./source-facts.ts";

const ID = "a".repeat(40);
const FULL: PsyncReply = { kind: "full", replid: ID, offset: 500 };
const CONTINUE: PsyncReply = { kind: "continue", replid: ID };

/** A link that answers as it is told, and notes what it was asked. */
class AskedLink {
  readonly asked: string[] = [];
  isClosed = false;
  readonly #answer: () => Promise<PsyncReply>;
  readonly #knowsRdbOnly: boolean;

  constructor(answer: PsyncReply | (() => Promise<PsyncReply>), knowsRdbOnly = true) {
    this.#answer = typeof answer === "function" ? answer : async () => Promise.resolve(answer);
    this.#knowsRdbOnly = knowsRdbOnly;
  }

  async askRdbOnly(): Promise<boolean> {
    this.asked.push("rdb-only");
    return Promise.resolve(this.#knowsRdbOnly);
  }

  async psync(replid: string | null, offset: number): Promise<PsyncReply> {
    this.asked.push(replid === null ? "copy" : `${replid === ID ? "id" : replid} ${offset}`);
    return this.#answer();
  }

  async facts(): Promise<void> {
    this.asked.push("facts");
    return Promise.resolve();
  }

  async text([name = ""]: readonly string[]): Promise<null> {
    this.asked.push(name);
    return Promise.resolve(null);
  }

  close(): void {
    this.isClosed = true;
  }
}

const SERVER = `redis_version:7.0.15\r\nrole:master\r\nmaster_replid:${ID}\r\n`;

interface Asking {
  readonly links: readonly AskedLink[];
  readonly facts?: SourceFacts;
  readonly maySplit?: boolean;
  readonly clock?: ManualClock;
  readonly signal?: AbortSignal;
}

/** Asks the first link; the others are opened as they are needed. */
async function ask({ links, facts = readFacts(SERVER), maySplit = true, clock = new ManualClock(), signal }: Asking) {
  const rest = links.slice(1);
  let isUnsplit = false;
  const forks: string[] = [];
  const open = async (): Promise<ReplicaLink> => {
    const next = rest.shift();
    if (next === undefined) throw new Error("no other link was expected");
    return Promise.resolve(next as unknown as ReplicaLink);
  };
  const onUnsplit = (): void => {
    isUnsplit = true;
  };
  const onForked = (why: string): unknown => forks.push(why);
  const of = { shard: "s0", facts, open, clock, log: silentLog(), maySplit, onUnsplit, onForked };
  const options = { ...of, signal: signal ?? new AbortController().signal };
  const asked = await askForCopy(links[0] as unknown as ReplicaLink, options).catch((cause: unknown) => {
    throw Object.assign(cause as Error, { forks });
  });
  return { places: placesOf(asked, links), reply: asked.reply, isUnsplit };
}

function placesOf({ link, copyLink }: CopyLinks, links: readonly AskedLink[]): [link: number, copyLink: number] {
  return [links.indexOf(link as unknown as AskedLink), links.indexOf(copyLink as unknown as AskedLink)];
}

// Mutation seen to fail it: copy-links.ts, `askBoth` asks for `reply.offset - 1`.
test("one link brings the copy alone, and another one what follows it", async () => {
  const links = [new AskedLink(FULL), new AskedLink(CONTINUE)];
  expect(await ask({ links })).toEqual({ places: [1, 0], reply: FULL, isUnsplit: false });
  expect(links.map(({ asked }) => asked)).toEqual([["rdb-only", "copy"], ["id 500"]]);
  expect(links.map(({ isClosed }) => isClosed)).toEqual([false, false]);
});

const cluster = (valkey: string): SourceFacts =>
  readFacts(`redis_version:7.2.4\r\nvalkey_version:${valkey}\r\nrole:slave\r\ncluster_enabled:1\r\nmaster_replid:${ID}\r\n`);

// Mutations seen to fail it: copy-links.ts, `isSplit` without its looks at the role, at the version, and at Valkey's.
test.each<[string, SourceFacts, boolean]>([
  ["is of 6.2", readFacts(SERVER.replace("7.0.15", "6.2.0")), true],
  ["is of 6.0", readFacts(SERVER.replace("7.0.15", "6.0.20")), false],
  ["names no history", readFacts("redis_version:7.0.15\r\nrole:master\r\n"), false],
  ["is a replica, which selects no database at S", readFacts(SERVER.replace("master\r", "slave\r")), false],
  ["is a replica in a cluster, which has one database", cluster("8.1.0"), true],
  ["is a replica in a cluster that may have several", cluster("9.0.0"), false],
])("a source that %s", async (_, facts, isSplit) => {
  const links = [new AskedLink(FULL), new AskedLink(CONTINUE)];
  expect((await ask({ links, facts })).places).toEqual(isSplit ? [1, 0] : [0, -1]);
});

test("one link brings both where the source refuses to send the copy alone, or is known to keep too little", async () => {
  const refusing = [new AskedLink(FULL, false)];
  expect(await ask({ links: refusing })).toEqual({ places: [0, -1], reply: FULL, isUnsplit: false });
  const known = [new AskedLink(FULL)];
  expect(await ask({ links: known, maySplit: false })).toEqual({ places: [0, -1], reply: FULL, isUnsplit: false });
  expect(known[0]?.asked).toEqual(["copy"]);
});

const broken = async (): Promise<PsyncReply> => Promise.reject(new Retryable("SRC-001", "source s0", "refused"));

// Mutations seen to fail it: copy-links.ts, `link.close()` taken out where the source can't go on (it keeps its streams for links that nobody reads);
// a failure of the second link's PSYNC passed on; no end to the wait for it.
test.each<[string, PsyncReply | (() => Promise<PsyncReply>)]>([
  ["has written over it", FULL],
  ["refuses a second link", broken],
  ["begins another copy first, and answers then", async () => new Promise(() => undefined)],
])(
  "where the source does not go on behind the copy since it %s, a link of its own brings both, and the others are closed",
  async (_, second) => {
    const clock = new ManualClock();
    const links = [new AskedLink(FULL), new AskedLink(second), new AskedLink({ ...FULL, offset: 900 })];
    const asked = ask({ links, clock });
    for (let turns = 0; turns < 5; turns++) await turn();
    await clock.advance(5_000);
    expect(await asked).toEqual({ places: [2, -1], reply: { ...FULL, offset: 900 }, isUnsplit: true });
    expect(links.map(({ isClosed }) => isClosed)).toEqual([true, true, false]);
    expect([links[2]?.asked, clock.sleeping]).toEqual([["facts", "copy"], 0]);
  },
);

// Mutations seen to fail it: copy-links.ts, `countedFork` without `onForked`: the source forks again and again; the comparison of the ids taken out.
test("a fork that came to nothing is counted, and a source that goes on in another history is asked again", async () => {
  for (const kind of ["continue", "full"] as const) {
    const other = [new AskedLink(FULL), new AskedLink({ kind, replid: "b".repeat(40), offset: 1 })];
    await expect(ask({ links: other })).rejects.toMatchObject({
      code: "SRC-003",
      forks: [expect.stringContaining("history changed")],
    });
    expect(other[1]?.isClosed).toBe(true);
  }
  const dead = [new AskedLink(FULL), new AskedLink(FULL), new AskedLink(broken)];
  await expect(ask({ links: dead })).rejects.toMatchObject({ code: "SRC-001", forks: [expect.stringContaining("refused")] });
  const unasked = [new AskedLink(broken), new AskedLink(CONTINUE)];
  await expect(ask({ links: unasked })).rejects.toMatchObject({ code: "SRC-001", forks: [] });
});

// Mutation: copy-links.ts, an answer of another kind taken for a copy's: the second link is asked for what follows no offset at all.
test("a source that goes on where it was asked for a copy is not asked for what follows it", async () => {
  const links = [new AskedLink(CONTINUE), new AskedLink(CONTINUE)];
  await expect(ask({ links })).rejects.toMatchObject({ code: "SRC-001", forks: [] });
  expect(links.map(({ asked }) => asked)).toEqual([["rdb-only", "copy"], []]);
  expect(links[1]?.isClosed).toBe(true);
});

// Mutation seen to fail it: copy-links.ts, `whileKept` answers at once: what lies between takes the second link for gone.
test("the second link shows that it is there for as long as the source takes to begin its copy, and ends with whoever asks", async () => {
  const clock = new ManualClock();
  let answer: (reply: PsyncReply) => void = () => undefined;
  const forked = new Promise<PsyncReply>((resolve) => (answer = resolve));
  const links = [new AskedLink(async () => forked), new AskedLink(CONTINUE)];
  const asked = ask({ links, clock });
  await turn();
  await clock.advance(35_000);
  expect(links[1]?.asked).toEqual(["PING", "PING", "PING"]);
  answer(FULL);
  expect((await asked).places).toEqual([1, 0]);
  expect(clock.sleeping).toBe(0);

  const ending = new AbortController();
  const gone = new Promise<PsyncReply>((_, reject) => (answer = () => reject(new Retryable("SRC-001", "source s0", "gone"))));
  const cut = [new AskedLink(async () => gone), new AskedLink(CONTINUE)];
  const given = ask({ links: cut, clock, signal: ending.signal });
  given.catch(() => undefined);
  await turn();
  ending.abort();
  expect(cut[1]?.isClosed).toBe(true);
  answer(FULL);
  await expect(given).rejects.toMatchObject({ code: "SRC-001" });
  expect(clock.sleeping).toBe(0);
});
