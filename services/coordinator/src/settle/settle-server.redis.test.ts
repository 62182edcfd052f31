import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { CommandFramer, type Endpoint } from "@sluice/redis";
import { ManualClock, systemClock, type Clock } from "@sluice/runtime";
import { RedisServer } from "@sluice/testkit";
import { expiryWithGrace } from "@sluice/wire";
import { expect, test } from "vitest";
import { fieldScript, keyScript, scriptCall, type SettleRule } from "./settle-script.ts";
import { SettleServer, type SettleCount } from "./settle-server.ts";

const GRACE_MS = 43_800_000;
const [settle, mark] = (["settle", "mark"] as const).map((step): SettleRule => ({
  step,
  graceMs: GRACE_MS,
  sparesThePast: false,
})) as [SettleRule, SettleRule];
const FAR_MS = 4_000_000_000_000;
/** The latest expiry that a server takes leaves no room for a grace; JavaScript has no date for it. */
const NEVER_MS = 9_000_000_000_000_001;

async function walk(endpoint: Endpoint, rule: SettleRule, clock: Clock = systemClock): Promise<SettleCount> {
  const signal = new AbortController().signal;
  const server = await SettleServer.open(endpoint, signal);
  const sum = { looked: 0, changed: 0 };
  const onPage = (page: SettleCount): void => {
    sum.looked += page.looked;
    sum.changed += page.changed;
  };
  await server.walk({ rule, clock, signal, onPage }).finally(() => server.close());
  return sum;
}

const at = ({ port }: RedisServer): Endpoint => ({ host: "127.0.0.1", port });

test("every expiry in every database is the source's again, however often it is done; Sluice's own keys are left alone", async () => {
  await using server = await RedisServer.start();
  const expected = new Map<string, number>();
  for (const db of [0, 3]) {
    const client = server.client(db);
    const pipeline = client.pipeline();
    for (let index = 0; index < 1_500; index++) {
      const trueMs = FAR_MS + index;
      pipeline.set(`k${index}`, "v", "PXAT", expiryWithGrace(trueMs, GRACE_MS));
      expected.set(`${db} k${index}`, trueMs - (trueMs % 2));
      pipeline.set(`plain${index}`, "v");
    }
    pipeline.set("sluice:{x}:p:main", "mark", "PXAT", FAR_MS + 1);
    pipeline.set("beyond", "v", "PXAT", NEVER_MS);
    await pipeline.exec();
  }
  expect(await walk(at(server), settle)).toEqual({ looked: 6_004, changed: 3_000 });
  const found = new Map<string, number>();
  for (const db of [0, 3]) {
    const client = server.client(db);
    for (let index = 0; index < 1_500; index++) found.set(`${db} k${index}`, await client.pexpiretime(`k${index}`));
    expect(await client.pexpiretime("sluice:{x}:p:main")).toBe(FAR_MS + 1);
    expect(await client.pexpiretime("beyond")).toBe(NEVER_MS);
    expect(await client.pexpiretime("plain7")).toBe(-1);
  }
  expect(found).toEqual(expected);
  expect((await walk(at(server), settle)).changed).toBe(0);
});

test("marking makes every expiry odd, once; then settling is exact again for what a move had made even", async () => {
  await using server = await RedisServer.start();
  const client = server.client();
  await client.set("odd", "v", "PXAT", expiryWithGrace(FAR_MS, GRACE_MS));
  await client.set("moved", "v", "PXAT", expiryWithGrace(FAR_MS, GRACE_MS) + 3);
  expect((await walk(at(server), mark)).changed).toBe(1);
  expect((await walk(at(server), mark)).changed).toBe(0);
  expect((await walk(at(server), settle)).changed).toBe(2);
  expect(await client.pexpiretime("odd")).toBe(FAR_MS);
  expect(await client.pexpiretime("moved")).toBe(FAR_MS + 4);
});

test("what has expired at the source is deleted, and spared where it may be somebody else's", async () => {
  await using server = await RedisServer.start();
  const client = server.client();
  const past = expiryWithGrace(Date.now() - 1_000, GRACE_MS);
  await client.set("k", "v", "PXAT", past);
  expect((await walk(at(server), { ...settle, sparesThePast: true })).changed).toBe(0);
  expect(await client.pexpiretime("k")).toBe(past);
  expect((await walk(at(server), settle)).changed).toBe(1);
  expect(await client.exists("k")).toBe(0);
});

test("servers before 7.0 name an expiry by two clocks, to the millisecond", async () => {
  await using server = await RedisServer.start();
  const client = server.client();
  const { body } = keyScript(60_216);
  expect(body).not.toContain("PEXPIRETIME");
  const rule = scriptCall(keyScript(60_216), settle, Number.MAX_SAFE_INTEGER, [Buffer.from("k")])
    .slice(4)
    .map(String);
  for (let index = 0; index < 200; index++) {
    const trueMs = Date.now() + 60_000 + index;
    await client.set("k", "v", "PXAT", expiryWithGrace(trueMs, GRACE_MS));
    expect(await client.eval(body, 1, "k", ...rule)).toBe(1);
    expect(await client.pexpiretime("k")).toBe(trueMs - (trueMs % 2));
    expect(await client.eval(body, 1, "k", ...rule)).toBe(0);
  }
  await client.persist("k");
  expect(await client.eval(body, 1, "k", ...rule)).toBe(0);
  expect(await client.eval(body, 1, "missing", ...rule)).toBe(0);
});

test("where the clock moves on between two looks, they are taken again", async () => {
  await using server = await RedisServer.start();
  // Before 7.0 time goes on inside a script; here it stands still, so the clock is stood in for. An odd expiry at 9 s and 7 ms.
  const stood = `
    local times = { '999', '1000', '1001', '1002', '1002' }
    local set, looks = {}, 0
    local redis = { call = function(name, ...)
      if name == 'TIME' then looks = looks + 1 return { '1', times[looks] .. '000' } end
      if name == 'PTTL' then return 9007 - 1000 - tonumber(times[looks + 1]) end
      set[#set + 1] = table.concat({ name, ... }, ' ')
    end }
    local function run() ${keyScript(60_216).body} end
    return { run(), set }`;
  const rule = ["settle", "6", String(FAR_MS), "0", String(FAR_MS)];
  expect(await server.client().eval(stood, 1, "k", ...rule)).toEqual([1, ["PEXPIREAT k 9001"]]);
});

test("a server that forgets its scripts in between is told them again", async () => {
  await using server = await RedisServer.start();
  const client = server.client();
  const signal = new AbortController().signal;
  await client.set("k", "v", "PXAT", expiryWithGrace(FAR_MS, GRACE_MS));
  const settling = await SettleServer.open(at(server), signal);
  await client.script("FLUSH");
  await settling.walk({ rule: settle, clock: systemClock, signal, onPage: () => undefined });
  settling.close();
  expect(await client.pexpiretime("k")).toBe(FAR_MS);
});

test("the script for fields sets exactly those right that carry a grace", async () => {
  await using server = await RedisServer.start();
  const carrying = expiryWithGrace(FAR_MS, GRACE_MS);
  // No server here has expiries of fields: its two commands are stood in for, all else is the script as it is sent.
  const stood = `
    local set = {}
    local real = redis
    local redis = { call = function(...)
      local name = ...
      if name == 'HPEXPIRETIME' then return { ${carrying}, -1, ${FAR_MS}, -2, ${carrying + 2} } end
      if name == 'HPEXPIREAT' then set[#set + 1] = table.concat({ select(2, ...) }, ' ') return { 1 } end
      return real.call(...)
    end }
    local function run() ${fieldScript.body} end
    return { run(), set }`;
  const fields = ["a", "b", "c", "d", "e"].map((field) => Buffer.from(field));
  const rule = scriptCall(fieldScript, settle, Number.MAX_SAFE_INTEGER, [Buffer.from("h")], fields)
    .slice(4)
    .map(String);
  expect(await server.client().eval(stood, 1, "h", ...rule)).toEqual([
    2,
    [`h ${FAR_MS} FIELDS 1 a`, `h ${FAR_MS + 2} FIELDS 1 e`],
  ]);
});

test("of a server with expiries of fields, the fields of every hash are gone through, in pages", async () => {
  const fields = Array.from({ length: 700 }, (_, index) => `f${index}`);
  const answers: Record<string, (args: string[]) => string> = {
    INFO: ([, section = ""]) =>
      bulk({ server: "redis_version:7.4.1\r\n", cluster: "cluster_enabled:0\r\n" }[section] ?? "db0:keys=3,expires=0\r\n"),
    COMMAND: () => array([array([bulk("hpexpiretime")])]),
    SCRIPT: () => bulk("sha"),
    TIME: () => array(["4", "5"].map(bulk)),
    SELECT: () => "+OK\r\n",
    CLIENT: () => "+OK\r\n",
    SCAN: () => array([bulk("0"), array(["h", "small", "s"].map(bulk))]),
    TYPE: ([, key]) => `+${key === "s" ? "string" : "hash"}\r\n`,
    OBJECT: ([, , key]) => bulk(key === "small" ? "listpack" : "listpackex"),
    HSCAN: () => array([bulk("0"), array(fields.map(bulk))]),
    EVALSHA: (args) => `:${args[1] === fieldScript.sha ? args.length - 9 : 0}\r\n`,
  };
  const calls: string[][] = [];
  await using server = await pretend((args) => {
    calls.push(args);
    return answers[args[0] ?? ""]?.(args) ?? "-ERR unknown\r\n";
  });
  expect(await walk(server.endpoint, settle)).toEqual({ looked: 3, changed: 700 });
  const ofFields = calls.filter(([name, sha]) => name === "EVALSHA" && sha === fieldScript.sha);
  expect(ofFields.map((args) => [args[3], args.length - 9])).toEqual([
    ["h", 500],
    ["h", 200],
  ]);
  expect(calls.find(([name]) => name === "HSCAN")).toEqual(["HSCAN", "h", "0", "COUNT", "500", "NOVALUES"]);
});

/** Answers of a server of two pages, each with one key. */
const twoPages: Record<string, (args: string[]) => string> = {
  INFO: ([, section = ""]) =>
    bulk({ server: "redis_version:7.0.15\r\n", cluster: "cluster_enabled:0\r\n" }[section] ?? "db0:keys=2,expires=0\r\n"),
  COMMAND: () => "*1\r\n*-1\r\n",
  SCRIPT: () => bulk("sha"),
  TIME: () => array(["4", "5000"].map(bulk)),
  SELECT: () => "+OK\r\n",
  CLIENT: () => "+OK\r\n",
  SCAN: ([, cursor]) => array([bulk(cursor === "0" ? "7" : "0"), array([bulk(`k${cursor}`)])]),
  EVALSHA: () => ":1\r\n",
};
const answerOf = ([name = "", ...args]: string[]): string => twoPages[name]?.([name, ...args]) ?? "-ERR unknown\r\n";

// Mutation: standstill.ts, `run` does not tick: a page that takes long is taken for a standstill, and settling never ends.
test("a server that takes long for a page is only slow", async () => {
  const base = new ManualClock();
  const sleeps: number[] = [];
  const clock: Clock = {
    nowMs: () => base.nowMs(),
    monotonicMs: () => base.monotonicMs(),
    sleep: async (ms, signal) => {
      sleeps.push(ms);
      return base.sleep(ms, signal);
    },
  };
  await using server = await pretend(async (args) => {
    if (args[0] === "EVALSHA") await base.sleep(10_000);
    return answerOf(args);
  });
  let isOver = false;
  const walked = walk(server.endpoint, settle, clock).finally(() => (isOver = true));
  while (!isOver) await base.advance(50);
  expect(await walked).toEqual({ looked: 2, changed: 2 });
  // The rests.
  expect(sleeps.filter((ms) => ms > 500)).toEqual([1_000, 1_000]);
});

// Mutation: settle-server.ts without `standstill.check()`: the second page is settled by one who may have lost its lease.
test("a coordinator that stands still before a page leaves it to whoever goes on", async () => {
  const base = new ManualClock();
  let pausedMs = 0;
  const clock: Clock = {
    nowMs: () => base.nowMs() + pausedMs,
    monotonicMs: () => base.monotonicMs() + pausedMs,
    sleep: async (ms, signal) => base.sleep(ms, signal),
  };
  const settled: string[] = [];
  await using server = await pretend((args) => {
    if (args[0] === "EVALSHA") settled.push(args[3] ?? "");
    if (args[0] === "SCAN" && args[1] === "7") pausedMs = 3_500;
    return answerOf(args);
  });
  let isOver = false;
  const walked = walk(server.endpoint, settle, clock).finally(() => (isOver = true));
  walked.catch(() => undefined);
  while (!isOver) await base.advance(50);
  await expect(walked).rejects.toMatchObject({ code: "DST-003" });
  expect(settled).toEqual(["k0"]);
});

// Mutation: settle-script.ts without the comparison with ARGV[5].
test("what reaches a server too late by the server's own clock changes nothing", async () => {
  await using server = await RedisServer.start();
  const client = server.client();
  const carrying = expiryWithGrace(FAR_MS, GRACE_MS);
  await client.set("k", "v", "PXAT", carrying);
  const ruleUntil = (untilMs: number): string[] =>
    scriptCall(keyScript(70_015), settle, untilMs, [Buffer.from("k")])
      .slice(4)
      .map(String);
  expect(await client.eval(keyScript(70_015).body, 1, "k", ...ruleUntil(Date.now() - 1_000))).toBe(-1);
  expect(await client.pexpiretime("k")).toBe(carrying);
  expect(await client.eval(keyScript(70_015).body, 1, "k", ...ruleUntil(Date.now() + 10_000))).toBe(1);
  expect(await client.pexpiretime("k")).toBe(FAR_MS);
});

// Mutation: settle-server.ts, `due` is empty whatever the answers: keys are left with the grace.
test("a page that came too late is sent again with a later time", async () => {
  const untils: string[] = [];
  let seconds = 4;
  await using server = await pretend((args) => {
    if (args[0] === "TIME") return array([String(seconds++), "5000"].map(bulk));
    if (args[0] !== "EVALSHA") return answerOf(args);
    untils.push(args[8] ?? "");
    return untils.length === 1 ? ":-1\r\n" : ":1\r\n";
  });
  expect(await walk(server.endpoint, settle)).toEqual({ looked: 2, changed: 2 });
  expect(untils).toEqual(["7005", "8005", "9005"]);
});

test("a server too old to write behind its clock is refused", async () => {
  await using server = await pretend(([name]) => (name === "INFO" ? bulk("redis_version:3.0.7\r\n") : "+OK\r\n"));
  await expect(walk(server.endpoint, settle)).rejects.toMatchObject({ code: "DST-012" });
});

function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}

function array(items: readonly string[]): string {
  return `*${items.length}\r\n${items.join("")}`;
}

/** A server that answers as told. */
async function pretend(answer: (args: string[]) => string | Promise<string>) {
  const server = createServer((socket) => {
    const framer = new CommandFramer();
    socket.on("error", () => undefined);
    let answered = Promise.resolve();
    socket.on("data", (chunk) => {
      framer.push(chunk);
      while (framer.next()) {
        const text = (index: number): string => framer.buffer.toString("latin1", framer.argStart(index), framer.argEnd(index));
        const args = Array.from({ length: framer.argc }, (_, index) => text(index));
        answered = answered.then(async () => void socket.write(await answer(args)));
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    endpoint: { host: "127.0.0.1", port: (server.address() as AddressInfo).port },
    async [Symbol.asyncDispose](): Promise<void> {
      server.close();
      await once(server, "close");
    },
  };
}
