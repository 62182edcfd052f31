import { keySlot, slotTag } from "@sluice/redis";
import { RedisServer } from "@sluice/testkit";
import { keptKey, keptShareKey, keptShareOf, KEPT_SHARES, slotsOfLane, SlotSet } from "@sluice/wire";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { StandaloneDestination } from "../apply/standalone-destination.ts";
import { ReplyTamperer } from "../apply/reply-tamperer.sample.ts";
import type { KeptKeys, KeptLimits } from "./kept-keys.ts";
import { RecordBook } from "./record-book.sample.ts";
import { StandaloneKept } from "./standalone-kept.ts";

/** Their borders lie inside shares. */
const LANES = 3;
const STATE = keptKey(slotTag(0), "p", "main");

/** Of a lane, still there. */
const MARK = { confirm: async () => Promise.resolve() };

let server: RedisServer;
let book: RecordBook;

beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(async () => server[Symbol.asyncDispose]());
beforeEach(async () => {
  await server.client().flushall();
  book = new RecordBook();
});

interface Opened {
  readonly kept: StandaloneKept;
  readonly keys: KeptKeys;
}

/** Lane 0 of as many as `lanes` says, as a session of its writer opens it. */
function open({ lanes = 1, port = server.port, limits }: { lanes?: number; port?: number; limits?: KeptLimits } = {}): Opened {
  const keeping = book.keeping(limits);
  const kept = new StandaloneKept({
    name: "main",
    endpoint: { host: "127.0.0.1", port },
    pipeline: "p",
    group: "main",
    lanes,
    slots: slotsOfLane(SlotSet.all(), lanes, 0),
    keeping,
    alone: async (work) => work(never),
    signal: never,
  });
  return { kept, keys: keeping.kept };
}

const never = new AbortController().signal;
const holds = (keys: KeptKeys, db: number, key: string): boolean => keys.has(db, Buffer.from(key));

// Mutations seen to fail it, in standalone-kept.ts: the state never becomes `live`; `#load` without the slots; in sweep.ts: Sluice's own keys, too.
test("takes down every key in every database, once, and every lane reads its own share", async () => {
  const many = Array.from({ length: 3_000 }, (_, index) => `k${index}`);
  await server.client().mset(Object.fromEntries(many.map((key) => [key, "v"])));
  await server.client(3).set(Buffer.from([0xff, 0, 0x3a]), "v");
  await server.client().set("sluice:{x}:other:main", "a mark of another pipeline");
  const { kept, keys } = open();
  await kept.read(null);
  expect(keys.size).toBe(0);
  await kept.takeDown();
  expect(keys.size).toBe(3_001);
  expect([holds(keys, 0, "k7"), holds(keys, 3, "k7"), holds(keys, 0, "sluice:{x}:other:main")]).toEqual([true, false, false]);
  expect(keys.has(3, Buffer.from([0xff, 0, 0x3a]))).toBe(true);
  expect((await book.keeping().noted()).size).toBe(16_384);

  await server.client().set("later", "v");
  const again = open({ lanes: LANES });
  await again.kept.read(MARK);
  const own = many.filter((key) => keySlot(Buffer.from(key)) < 16_384 / LANES);
  expect(own.every((key) => holds(again.keys, 0, key))).toBe(true);
  expect(again.keys.size - own.length).toBeLessThan(2);
  await again.kept.takeDown();
  expect(holds(again.keys, 0, "later")).toBe(false);
});

// Mutation seen to fail it: standalone-kept.ts, `#write` goes on with the shares that it finds.
test("a writer that ends half-way leaves nothing: the next one begins anew", async () => {
  await server.client().mset("a", "v", "b", "v");
  await server.client().set(STATE, "1|0|0|snap|s0|0|7");
  const share = (key: string): string => keptShareKey(slotTag(0), "p", "main", keptShareOf(keySlot(Buffer.from(key))));
  await server.client().sadd(share("gone"), "0:gone");
  const { kept, keys } = open();
  await kept.read(null);
  await kept.takeDown();
  expect([keys.size, holds(keys, 0, "gone")]).toEqual([2, false]);
  expect(await server.client().get(STATE)).toBe("1|0|0|live|s0|2|8");
});

// Mutation seen to fail it: standalone-kept.ts, the state is read anew before each chunk of names.
test("one-writer-per-lane: an attempt that another one has left behind changes nothing", async () => {
  await server.client().mset(Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`k${index}`, "v"])));
  await using tamperer = await ReplyTamperer.start(server.port);
  const another = server.client();
  const shares = Array.from({ length: KEPT_SHARES }, (_, share) => keptShareKey(slotTag(0), "p", "main", share));
  const begun: Promise<unknown>[] = [];
  tamperer.tamper = ({ args }) => {
    // Another lane begins while this one walks.
    if (args[0] === "SCAN" && begun.length === 0)
      begun.push(another.multi().set(STATE, "1|0|0|snap|s0|0|9").del(shares).exec());
    return null;
  };
  await expect(open({ port: tamperer.port }).kept.takeDown()).rejects.toMatchObject({ code: "DST-008" });
  await Promise.all(begun);
  expect([await another.exists(shares), await another.get(STATE)]).toEqual([0, "1|0|0|snap|s0|0|9"]);
  const last = open();
  await last.kept.takeDown();
  expect([last.keys.size, await another.get(STATE)]).toEqual([5_000, "1|0|0|live|s0|5000|10"]);
});

// Mutations seen to fail it: keeping.ts, `noted` is always empty; standalone-kept.ts, `read` without `hasMark`, `#load` without the count.
test("names that are gone are not guessed: it halts, unless nothing is left to be kept", async () => {
  await server.client().mset("a", "v", "b", "v");
  await open().kept.takeDown();
  await server.client().del(STATE);
  await expect(open().kept.read(MARK)).rejects.toMatchObject({ code: "DST-022", name: "Halt" });
  const { kept } = open();
  await kept.read(null);
  await expect(kept.takeDown()).rejects.toMatchObject({ code: "DST-022" });
  expect(await server.client().exists(STATE)).toBe(0);

  await server.client().flushall();
  const empty = open();
  await empty.kept.takeDown();
  await server.client().set("c", "v");
  const next = open();
  await next.kept.read(MARK);
  expect([empty.keys.size, next.keys.size]).toEqual([0, 0]);

  await server.client().flushall();
  book = new RecordBook();
  await server.client().set("a", "v");
  await open().kept.takeDown();
  for (const key of await server.client().keys("sluice:*kept.*")) await server.client().del(key);
  await expect(open().kept.read(MARK)).rejects.toMatchObject({
    code: "DST-022",
    message: expect.stringContaining("0 of 1 are left") as string,
  });
});

// Mutation seen to fail it: standalone-kept.ts, `#write` without the limit: the lane finds out only when all names are there.
test("too many keys halt by name, and leave nothing behind", async () => {
  await server.client().mset(Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`k${index}`, "v"])));
  await expect(open({ limits: { names: 20, bytes: 1_000 } }).kept.takeDown()).rejects.toMatchObject({
    code: "DST-023",
    name: "Halt",
  });
  expect(await server.client().keys("sluice:*kept.*")).toEqual([]);
  await expect(open({ limits: { names: 40, bytes: 1_000 } }).kept.takeDown()).rejects.toMatchObject({ code: "DST-023" });
});

// Mutations: standalone-kept.ts, `read` without `mark.confirm`, `#load` without `state.confirm`: a destination that is emptied
// while a lane opens halts it for good.
test("a destination that is emptied while its names are read is opened again, and does not halt", async () => {
  await server.client().mset("a", "v", "b", "v");
  await open().kept.takeDown();
  await using tamperer = await ReplyTamperer.start(server.port);
  let isEmptied = false;
  tamperer.tamper = ({ args: [name = "", key = ""] }) => {
    isEmptied ||= name === "SCARD";
    if (name === "SCARD") return ":0";
    return isEmptied && name === "GET" && key === STATE ? "$-1" : null;
  };
  const emptied = { code: "DST-008", name: "Retryable" };
  await expect(open({ port: tamperer.port }).kept.read(MARK)).rejects.toMatchObject(emptied);
  const target = await StandaloneDestination.open("main", { host: "127.0.0.1", port: server.port }, STATE, never);
  await server.client().flushall();
  await expect(open().kept.read(target)).rejects.toMatchObject(emptied);
  target.close();
});
