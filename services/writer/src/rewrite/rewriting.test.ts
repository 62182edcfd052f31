import { askedCommands, CommandFramer, CommandKind, commandTable, isForeign, originOf } from "@sluice/redis";
import { Halt } from "@sluice/runtime";
import { expect, test } from "vitest";
import { sliceOf, unitsIn } from "../project/unit-slice.sample.ts";
import { Abilities } from "./abilities.ts";
import { ORIGIN, rewritingFor, type Told } from "./rewritten-stream.sample.ts";
import { rulesFor, type RewritingOptions } from "./rewriting.ts";
import {
  ADD_IF,
  COPY,
  DELETE_PENDING,
  DELETE_WITH_REFERENCES,
  MOVE_ELEMENT,
  REFUSED,
  SET_FIELDS_KEEPING,
  SET_KEEPING,
  STORE_DIFFERENCE,
  STORE_RANGE,
  TRIM_UP_TO,
} from "./scripts.ts";

const SCRIPTS: readonly (readonly [string, string])[] = Object.entries({
  ADD_IF,
  COPY,
  DELETE_PENDING,
  DELETE_WITH_REFERENCES,
  MOVE_ELEMENT,
  REFUSED,
  SET_FIELDS_KEEPING,
  SET_KEEPING,
  STORE_DIFFERENCE,
  STORE_RANGE,
  TRIM_UP_TO,
});

/** "7.0" of Redis, "v9.0" of Valkey. */
function abilitiesOf(version: string): Abilities {
  const isValkey = version.startsWith("v");
  const [major = 0, minor = 0, patch = 0] = version.replace("v", "").split(".").map(Number);
  return new Abilities({ version: major * 10_000 + minor * 100 + patch, isValkey });
}

/** What a command becomes, commands apart by ` + `; scripts by their names. `-`: nothing; `LACKS …` as the log says it. */
function rewritten(version: string, line: string, options: Partial<RewritingOptions> = {}): string {
  const told: Told = { count: 0, lines: [] };
  const slice = rewritingFor(abilitiesOf(version), told, options).rewrite(sliceOf([{ db: 0, line }]), ORIGIN);
  const lines = unitsIn(slice).flatMap(({ commands }) => commands.map((command) => command.line));
  const text = lines.map((one) => SCRIPTS.reduce((some, [name, script]) => some.replace(script, name), one)).join(" + ");
  const lacking = told.lines.map((told) => `LACKS ${/lacks (.*), which/.exec(told)?.[1]}: `).join("");
  return lacking + (text === "" ? "-" : text);
}

// Mutation: any rule left out of its table, or a version of command-origins.ts changed.
test.each([
  ["3.2", "UNLINK a b", "DEL a b"],
  ["4.0", "UNLINK a b", "UNLINK a b"],
  ["3.2", "unlink a", "DEL a"],
  ["6.0", "SET k v PXAT 12345", "SET k v + PEXPIREAT k 12345"],
  ["6.0", "set k v exat 12 nx", "set k v nx + PEXPIREAT k 12000"],
  ["6.2", "SET k v PXAT 12345", "SET k v PXAT 12345"],
  ["6.0", "SET k v GET", "SET k v"],
  ["6.2", "SET k v NX GET", "SET k v NX"],
  ["7.0", "SET k v NX GET", "SET k v NX GET"],
  ["6.0", "SET k v KEEPTTL", "SET k v KEEPTTL"],
  ["5.0", "SET k v KEEPTTL", "EVAL SET_KEEPING 1 k v"],
  ["3.0.7", "SET k v KEEPTTL", "LACKS SET KEEPTTL (Redis 6.0, Valkey 7.2): -"],
  ["7.0", "SET k v IFEQ x", "SET k v"],
  ["v8.0", "SET k v IFEQ PXAT PXAT 9", "SET k v PXAT 9"],
  ["v8.1", "SET k v IFEQ x", "SET k v IFEQ x"],
  ["v9.0", "SET k v IFDNE x KEEPTTL", "SET k v KEEPTTL"],
  ["8.4", "SET k v IFDNE x KEEPTTL", "SET k v IFDNE x KEEPTTL"],
  ["8.4", "SET k IFNE", "SET k IFNE"],
  ["7.0", "SET k IFNE", "SET k IFNE"],
  ["6.0", "GETDEL k", "DEL k"],
  ["6.0", "GETEX k PERSIST", "PERSIST k"],
  ["6.0", "GETEX k PXAT 9", "PEXPIREAT k 9"],
  ["6.0", "GETEX k", "-"],
  ["8.2", "DELEX k IFEQ v", "DEL k"],
  ["v9.1", "DELEX k IFEQ v", "DEL k"],
  ["8.8", "DELIFEQ k v", "DEL k"],
  ["7.0", "MSETEX 2 a 1 b 2 PXAT 9", "MSET a 1 b 2 + PEXPIREAT a 9 + PEXPIREAT b 9"],
  ["7.0", "MSETEX 2 a 1 b 2 NX", "MSET a 1 b 2"],
  ["7.0", "MSETEX 2 a 1 b KEEPTTL KEEPTTL", "SET a 1 KEEPTTL + SET b KEEPTTL KEEPTTL"],
  ["v9.0", "MSETEX 1 a PXAT EX 9", "MSET a PXAT"],
  ["v9.1", "MSETEX 1 a 1 PXAT 9", "MSETEX 1 a 1 PXAT 9"],
  ["7.0", "BITOP DIFF to x y z", "BITOP OR to y z + BITOP AND to x to + BITOP XOR to x to"],
  ["7.0", "BITOP DIFF1 to x y", "BITOP OR to x y + BITOP XOR to to x"],
  ["7.0", "BITOP ANDOR to x y z", "BITOP OR to y z + BITOP AND to x to"],
  ["7.0", "BITOP ONE to x y", "BITOP XOR to x y"],
  ["7.0", "BITOP ONE to x y z", "LACKS BITOP ONE (Redis 8.2): -"],
  ["7.0", "BITOP DIFF x x y", "LACKS BITOP DIFF (Redis 8.2): -"],
  ["7.0", "BITOP AND to x y", "BITOP AND to x y"],
  ["6.0", "LPOP k 2", "LTRIM k 2 -1"],
  ["6.0", "RPOP k 2", "LTRIM k 0 -3"],
  ["6.0", "LPOP k", "LPOP k"],
  ["3.2", "LPUSHX k a b", "LPUSHX k a + LPUSHX k b"],
  ["6.0", "LMOVE a b right left", "RPOPLPUSH a b"],
  ["6.0", "LMOVE a b LEFT RIGHT", "EVAL MOVE_ELEMENT 2 a b LPOP RPUSH"],
  ["8.8", "LMOVEM a b LEFT RIGHT 2", "LACKS LMOVEM (Redis 8.10): -"],
  ["6.0", "ZADD k GT 1 a", "ZADD k 1 a"],
  ["6.0", "ZADD k GT CH 1 a 2 b", "EVAL ADD_IF 1 k GT  1 a 2 b"],
  ["6.0", "ZADD k XX LT INCR 1 a", "ZINCRBY k 1 a"],
  ["6.0", "ZADD k NX 1 a 2 b", "ZADD k NX 1 a 2 b"],
  ["2.8", "ZADD k NX 1 a 2 b", "EVAL ADD_IF 1 k NX  1 a 2 b"],
  ["2.8", "ZADD k CH 1 a 2 b", "ZADD k 1 a 2 b"],
  ["6.0", "ZADD k 1 GT", "ZADD k 1 GT"],
  ["4.0", "ZPOPMIN k", "ZREMRANGEBYRANK k 0 0"],
  ["4.0", "ZPOPMAX k 3", "ZREMRANGEBYRANK k -3 -1"],
  [
    "6.0",
    "ZRANGESTORE a b 5 1 BYSCORE REV LIMIT 0 2",
    "EVAL STORE_RANGE 2 a b ZREVRANGEBYSCORE scores 5 1 WITHSCORES LIMIT 0 2",
  ],
  ["6.0", "ZDIFFSTORE a 2 b c", "EVAL STORE_DIFFERENCE 3 a b c"],
  ["6.0", "GEOSEARCHSTORE a b FROMLONLAT 1 2 BYRADIUS 3 km ASC STOREDIST", "GEORADIUS b 1 2 3 km ASC STOREDIST a"],
  ["6.0", "GEOSEARCHSTORE a b FROMMEMBER m BYBOX 3 3 km", "LACKS GEOSEARCHSTORE (Redis 6.2, Valkey 7.2): -"],
  ["3.0", "GEORADIUS b 1 2 3 km STORE a", "LACKS GEORADIUS (Redis 3.2, Valkey 7.2): -"],
  ["6.0", "XADD k NOMKSTREAM MAXLEN = 2 1-1 f NOMKSTREAM", "XADD k MAXLEN = 2 1-1 f NOMKSTREAM"],
  ["6.0", "XADD k MINID = 2-5 3-1 f v", "XADD k 3-1 f v + EVAL TRIM_UP_TO 1 k 2-4"],
  ["6.0", "XTRIM k MINID 2-0", "EVAL TRIM_UP_TO 1 k 1-18446744073709551615"],
  ["6.0", "XTRIM k MINID 0-0", "-"],
  ["8.0", "XADD k KEEPREF MAXLEN = 2 1-1 f v", "XADD k MAXLEN = 2 1-1 f v"],
  ["8.0", "XADD k DELREF 1-1 f v", "XADD k 1-1 f v"],
  ["8.0", "XTRIM k MAXLEN = 2 DELREF", "LACKS XTRIM DELREF (Redis 8.2): -"],
  ["8.4", "XADD k IDMP p 7 1-1 f v", "XADD k 1-1 f v"],
  ["6.0", "XGROUP CREATECONSUMER k g c", "XREADGROUP GROUP g c COUNT 1 STREAMS k 18446744073709551615-18446744073709551615"],
  ["6.2", "XGROUP CREATECONSUMER k g c", "XGROUP CREATECONSUMER k g c"],
  ["6.2", "XGROUP SETID k g 1-1 ENTRIESREAD 4", "XGROUP SETID k g 1-1"],
  ["6.2", "XGROUP CREATE k g $ MKSTREAM ENTRIESREAD 4", "XGROUP CREATE k g $ MKSTREAM"],
  ["6.2", "XSETID k 1-1 ENTRIESADDED 4 MAXDELETEDID 1-0", "XSETID k 1-1"],
  ["8.0", "XDELEX k IDS 2 1-1 2-2", "XDEL k 1-1 2-2"],
  ["8.0", "XDELEX k DELREF IDS 1 1-1", "EVAL DELETE_WITH_REFERENCES 1 k 1-1"],
  ["8.0", "XDELEX k ACKED IDS 1 1-1", "LACKS XDELEX (Redis 8.2): -"],
  ["8.0", "XACKDEL k g KEEPREF IDS 1 1-1", "XACK k g 1-1 + XDEL k 1-1"],
  ["8.0", "XACKDEL k g IDS 2 1-1 2-2", "EVAL DELETE_PENDING 1 k g  1-1 2-2"],
  ["8.0", "XACKDEL k g DELREF IDS 2 1-1 2-2", "EVAL DELETE_PENDING 1 k g DELREF 1-1 2-2"],
  ["6.0", "LPOP k 2147483647", "LTRIM k 2147483647 -1"],
  ["6.0", "RPOP k 9223372036854775807", "LTRIM k 0 -1000000000000001"],
  ["4.0", "ZPOPMAX k 4294967296", "ZREMRANGEBYRANK k -4294967296 -1"],
  ["8.4", "XCFGSET k IDMP-DURATION 5", "LACKS XCFGSET (Redis 8.6): -"],
  ["4.0", "XADD k 1-1 f v", "LACKS XADD (Redis 5.0, Valkey 7.2): -"],
  ["4.0", "XDELEX k IDS 1 1-1", "LACKS XDELEX (Redis 8.2): -"],
  ["3.2", "HSET k a 1 b 2", "HMSET k a 1 b 2"],
  ["3.2", "HSET k a 1", "HSET k a 1"],
  ["7.2", "HSETEX k FNX FIELDS 2 a 1 b 2", "HSET k a 1 b 2"],
  ["7.2", "HSETEX k PXAT 9 FIELDS 1 a PXAT", "LACKS HSETEX (Redis 8.0, Valkey 9.0): HSET k a PXAT"],
  ["7.2", "HSETEX k FIELDS 1 a 1 KEEPTTL", "HSET k a 1"],
  ["7.4", "HSETEX k FIELDS 2 a 1 b 2 PXAT 9", "HSET k a 1 b 2 + HPEXPIREAT k 9 FIELDS 2 a b"],
  ["7.4", "HSETEX k KEEPTTL FIELDS 1 a 1", "EVAL SET_FIELDS_KEEPING 1 k a 1"],
  ["8.0", "HSETEX k XX FXX PXAT 9 FIELDS 1 XX 1", "HSETEX k FXX PXAT 9 FIELDS 1 XX 1"],
  ["v9.1", "HSETEX k XX PXAT 9 FIELDS 1 a 1", "HSETEX k XX PXAT 9 FIELDS 1 a 1"],
  ["7.0", "HGETDEL k FIELDS 2 a b", "HDEL k a b"],
  ["v9.0", "HGETDEL k FIELDS 1 a", "HDEL k a"],
  ["7.4", "HGETEX k PXAT 9 FIELDS 1 a", "HPEXPIREAT k 9 FIELDS 1 a"],
  ["7.4", "HGETEX k PERSIST FIELDS 1 a", "HPERSIST k FIELDS 1 a"],
  ["7.0", "HPERSIST k FIELDS 1 a", "-"],
  ["7.0", "HPEXPIREAT k 9 FIELDS 1 a", "LACKS HPEXPIREAT (Redis 7.4, Valkey 9.0): -"],
  ["v8.1", "HPEXPIREAT k 9 FIELDS 1 a", "LACKS HPEXPIREAT (Redis 7.4, Valkey 9.0): -"],
  ["6.2", "PEXPIREAT k 9 GT", "PEXPIREAT k 9"],
  ["7.0", "PEXPIREAT k 9 GT", "PEXPIREAT k 9 GT"],
  ["3.2", "FLUSHALL ASYNC", "FLUSHALL"],
  ["6.0", "FLUSHDB SYNC", "FLUSHDB"],
  ["6.0", "FLUSHDB ASYNC", "FLUSHDB ASYNC"],
  ["6.0", "SCRIPT FLUSH ASYNC", "SCRIPT FLUSH"],
  ["6.0", "COPY a b DB 3 REPLACE", "EVAL COPY 2 a b 3 REPLACE"],
  ["3.0", "COPY a b", "LACKS COPY (Redis 6.2, Valkey 7.2): -"],
  ["3.2", "SWAPDB 0 1", "LACKS SWAPDB (Redis 4.0, Valkey 7.2): -"],
  ["6.2", "FUNCTION FLUSH", "LACKS FUNCTION (Redis 7.0, Valkey 7.2): -"],
  ["7.0", "VADD k VALUES 1 1 e", "LACKS VADD (Redis 8.0): -"],
  ["7.0", "RPUSH k a", "RPUSH k a"],
  ["7.0", "NO.SUCH k a", "NO.SUCH k a"],
])("for %s, %s: %s", (version, line, expected) => {
  expect(rewritten(version, line)).toBe(expected);
});

test("with `onDivergence: repair`, what only the source knows fails, naming its keys, and what can't be held does not", () => {
  const divergence = "repair";
  expect(rewritten("7.0", "BITOP ONE to x y z", { divergence })).toBe("EVAL REFUSED 4 to x y z BITOP ONE (Redis 8.2)");
  expect(rewritten("7.0", "HPEXPIREAT k 9 FIELDS 1 a", { divergence })).toMatch(/^LACKS/);
});

test("with `unsupported: halt` the halt names destination, command, version, unit and key; nothing else is said", () => {
  const told: Told = { count: 0, lines: [] };
  const rewriting = rewritingFor(abilitiesOf("7.0"), told, { unsupported: "halt" });
  const slice = sliceOf([{ db: 0, line: "SET a 1" }], [{ db: 3, line: "HPEXPIREAT k\u0001 9 FIELDS 1 a" }]);
  const halt = new Halt(
    "DST-026",
    "main lacks HPEXPIREAT (Redis 7.4, Valkey 9.0), of the unit of lane main.s0.0 that ends at offset 20: key k\\x01 of database 3",
  );
  expect(() => rewriting.rewrite(slice, ORIGIN)).toThrow(halt);
  expect(told).toEqual({ count: 0, lines: [] });
});

test("units keep their ends and their databases, and become more or fewer commands; those that are left out are counted", () => {
  const told: Told = { count: 0, lines: [] };
  const slice = sliceOf(
    [{ db: 0, line: "SET a 1" }],
    [
      { db: 2, line: "SET b 1 PXAT 9" },
      { db: 3, line: "HPERSIST h FIELDS 1 f" },
      { db: 3, line: "SET c 1" },
    ],
    [{ db: 0, line: "VADD v VALUES 1 1 e" }],
    [{ db: 0, line: "UNLINK a" }],
  );
  const result = rewritingFor(abilitiesOf("3.2"), told).rewrite({ ...slice, from: 1 }, ORIGIN);
  expect(unitsIn(result)).toEqual([
    {
      end: 20,
      commands: [
        { db: 2, line: "SET b 1" },
        { db: 2, line: "PEXPIREAT b 9" },
        { db: 3, line: "SET c 1" },
      ],
    },
    { end: 40, commands: [{ db: 0, line: "DEL a" }] },
  ]);
  expect(told.count).toBe(1);
});

test("a slice that the destination takes as it is stays the same object", () => {
  const slice = sliceOf([{ db: 0, line: "SET a 1 PXAT 9" }], [{ db: 0, line: "RPUSH l a b" }]);
  expect(rewritingFor(abilitiesOf("7.0"), { count: 0, lines: [] }).rewrite(slice, ORIGIN)).toBe(slice);
});

test("what COMMAND says goes before versions: a command that was taken away is rewritten, one of a module is there or not", () => {
  const server = { version: 70_015, isValkey: false };
  const of = (...known: string[]): Abilities => new Abilities(server, askedCommands, new Set(known));
  const whole = [...askedCommands].filter((name) => new Abilities(server).hasSince(originOf(name)));
  const told: Told = { count: 0, lines: [] };
  const run = (abilities: Abilities, line: string): string[] =>
    unitsIn(rewritingFor(abilities, told).rewrite(sliceOf([{ db: 0, line }]), ORIGIN)).flatMap(({ commands }) =>
      commands.map((command) => command.line),
    );
  expect(run(of(...whole.filter((name) => name !== "UNLINK")), "UNLINK a")).toEqual(["DEL a"]);
  expect(run(of(...whole), "HGETDEL k FIELDS 1 a")).toEqual(["HDEL k a"]);
  expect(run(of(...whole, "JSON.SET"), "JSON.SET k $ 1")).toEqual(["JSON.SET k $ 1"]);
  expect(told.lines).toEqual([]);
  expect(run(of(...whole.filter((name) => name !== "JSON.SET")), "JSON.SET k $ 1")).toEqual([]);
  expect(told.lines[0]).toMatch(/lacks JSON.SET \(a module, or another product\), which is left out: key k of database 0/);
});

test("the servers of a cluster can what each of them can", () => {
  const of = (version: number, isValkey: boolean, ...known: string[]): Abilities =>
    new Abilities({ version, isValkey }, new Set(["UNLINK", "VADD"]), new Set(known));
  const all = Abilities.ofAll([
    of(80_000, false, "UNLINK", "VADD"),
    of(70_000, false, "UNLINK"),
    new Abilities({ version: 70_200, isValkey: false }),
  ]);
  expect(all.server.version).toBe(70_000);
  expect([all.hasCommand("UNLINK"), all.hasCommand("VADD")]).toEqual([true, false]);
  // Mutation: abilities.ts, `ofAll` begins with what the first one is known to have: one that could not be asked lacks everything.
  const first = Abilities.ofAll([new Abilities({ version: 70_015, isValkey: false }), of(70_015, false, "UNLINK")]);
  expect([first.hasCommand("UNLINK"), first.hasCommand("VADD")]).toEqual([true, false]);
  expect(Abilities.ofAll([of(90_000, true), of(80_000, false)]).server).toEqual({ version: 70_204, isValkey: false });
});

/** What 2.8 has: no rule of versions concerns the whole command. */
const ALWAYS =
  "APPEND BITOP BLPOP BRPOP BRPOPLPUSH DECR DECRBY DEL EVAL EVALSHA EXPIRE EXPIREAT FLUSHALL FLUSHDB GETSET HDEL HINCRBY HINCRBYFLOAT HMSET HSET " +
  "HSETNX INCR INCRBY INCRBYFLOAT LINSERT LPOP LPUSH LPUSHX LREM LSET LTRIM MOVE MSET MSETNX PERSIST PEXPIRE PEXPIREAT PFADD PFCOUNT PFDEBUG " +
  "PFMERGE PSETEX PUBLISH RENAME RENAMENX RESTORE RESTORE-ASKING RPOP RPOPLPUSH RPUSH RPUSHX SADD SCRIPT SDIFFSTORE SET SETBIT SETEX SETNX " +
  "SETRANGE SINTERSTORE SMOVE SORT SPOP SREM SUNIONSTORE ZADD ZINCRBY ZINTERSTORE ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZUNIONSTORE";
/** Blocking forms, which are replicated as their plain ones. */
const BLOCKING = "BLMOVE BLMPOP BZMPOP BZPOPMAX BZPOPMIN BLMOVEM";

// Mutation: a name of command-origins.ts left out. Fails, too, when the command table grows.
test("of every write it is known where it comes from", () => {
  const known = new Set(`${ALWAYS} ${BLOCKING}`.split(" "));
  const kinds: readonly number[] = [CommandKind.write, CommandKind.barrier, CommandKind.script, CommandKind.publish];
  const unknown = commandTable.names.filter(
    (name, id) =>
      kinds.includes(commandTable.kind[id] as number) && !known.has(name) && originOf(name) === null && !isForeign(name),
  );
  expect(unknown).toEqual([]);
  expect([...known].filter((name) => originOf(name) !== null || isForeign(name))).toEqual([]);
});

test("the newest servers have rules only for what the other fork has, and for payloads", () => {
  const concerned = (version: string): (string | undefined)[] =>
    rulesFor(abilitiesOf(version)).flatMap((rule, id) => (rule === null ? [] : [commandTable.names[id]]));
  expect(new Set(concerned("8.10"))).toEqual(new Set(["DELIFEQ", "FUNCTION", "HSETEX", "RESTORE"]));
  // IFNE, new operations, references and producers; whole commands of Redis 8.
  expect(concerned("v9.2")).toEqual(expect.arrayContaining(["SET", "BITOP", "XADD", "XTRIM", "VADD", "XDELEX"]));
  expect(concerned("v9.2")).not.toContain("HSETEX");
});

test("a command's arguments may lie anywhere in a batch, and may look like headers", () => {
  const slice = sliceOf([{ db: 0, line: "RPUSH *3 $5" }], [{ db: 0, line: "UNLINK $3" }], [{ db: 0, line: "RPUSH l $" }]);
  const result = rewritingFor(abilitiesOf("3.2"), { count: 0, lines: [] }).rewrite(slice, ORIGIN);
  const framer = new CommandFramer();
  framer.push(result.body);
  expect(unitsIn(result).map(({ commands }) => commands[0]?.line)).toEqual(["RPUSH *3 $5", "DEL $3", "RPUSH l $"]);
});
