import { CommandFramer, CommandKind, commandTable, keySlot, RespError } from "@sluice/redis";
import { Halt } from "@sluice/runtime";
import { fixtureVersions, loadRecording } from "@sluice/testkit";
import { attemptsKey, ChangeFlag, laneOf, SlotSet, temporaryKey } from "@sluice/wire";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { carried, NOW_MS, pushInPieces, setUp, stream, unitsOf, type Unit } from "./change-reader.sample.ts";

test("a write is a unit that ends where it ends in the source's stream, in the database that is selected", () => {
  const bytes = stream("SELECT 3", "set a 1", "PING", "SELECT 11", "INCR b");
  expect(carried(bytes, { offset: 100 })).toEqual([
    { lane: 0, end: 100 + stream("SELECT 3", "set a 1").length, db: 3, flags: 0, commands: ["set a 1"] },
    { lane: 0, end: 100 + bytes.length, db: 11, flags: 0, commands: ["INCR b"] },
  ]);
});

test("unit-never-split: MULTI to EXEC is one unit that ends with EXEC, with SELECT in and outside", () => {
  const { reader, batchers } = setUp();
  const bytes = stream("SELECT 1", "MULTI", "SELECT 2", "SET a 1", "SELECT 5", "SET b 1", "EXEC", "SET c 1");
  reader.push(bytes);
  expect([reader.boundary, reader.db, reader.isInTransaction, reader.commands]).toEqual([bytes.length, 5, false, 3]);
  const [first, second] = unitsOf(batchers);
  expect([first?.commands, first?.db]).toEqual([["SET a 1", "SET b 1"], 2]);
  expect(first?.end).toBe(bytes.length - stream("SET c 1").length);
  expect([second?.commands, second?.db, second?.end]).toEqual([["SET c 1"], 5, bytes.length]);
});

test("stored-before-ack: an open transaction holds back the boundary and what may be acknowledged", () => {
  const { reader, batchers } = setUp({ offset: 10 });
  const [batcher] = batchers;
  reader.push(stream("MULTI", "SET a 1"));
  expect([reader.boundary, reader.isInTransaction, batcher?.unstoredFrom, batcher?.isEmpty]).toEqual([10, true, 10, false]);
  expect(batcher?.take()).toBeNull();
  reader.push(stream("EXEC"));
  expect([reader.boundary, reader.isInTransaction]).toEqual([10 + stream("MULTI", "SET a 1", "EXEC").length, false]);
});

test("bookkeeping counts in the offset and makes no unit: PING, REPLCONF, empty transactions, the source's own and PUBLISH", () => {
  const bytes = stream(
    "ping",
    "REPLCONF GETACK *",
    "MULTI",
    "EXEC",
    "CLUSTER SETSLOT 1 STABLE",
    "PUBLISH c m",
    "SPUBLISH c m",
    "OPINFO x",
    "MULTI",
    "SELECT 4",
    "PING",
    "EXEC",
  );
  const { reader, batchers } = setUp({ offset: 7 });
  reader.push(Buffer.concat([Buffer.from("\n\n"), bytes]));
  expect([reader.boundary, reader.db, reader.commands]).toEqual([7 + bytes.length, 4, 0]);
  expect(unitsOf(batchers)).toEqual([]);
});

test("applied-once: units that a lane holds already are passed over, single ones and transactions", () => {
  const before = stream("SELECT 2", "SET a 1", "MULTI", "INCR n", "INCR m", "EXEC");
  const bytes = Buffer.concat([before, stream("INCR n", "MULTI", "INCR m", "EXEC")]);
  const all = carried(bytes, { offset: 50 });
  expect(all).toHaveLength(4);
  for (const [stored, unit] of all.entries()) {
    expect(carried(bytes, { offset: 50, tails: [unit.end] })).toEqual(all.slice(stored + 1));
  }
});

test("barriers carry their flag", () => {
  const units = carried(
    stream("FLUSHALL", "flushdb async", "SWAPDB 0 1", "FUNCTION FLUSH", "MULTI", "SET a 1", "FLUSHALL", "EXEC"),
  );
  expect(units.map(({ commands, flags }) => [commands.join("; "), flags])).toEqual([
    ["FLUSHALL", ChangeFlag.barrier],
    ["flushdb async", ChangeFlag.barrier],
    ["SWAPDB 0 1", ChangeFlag.barrier],
    ["FUNCTION FLUSH", ChangeFlag.barrier],
    ["SET a 1; FLUSHALL", ChangeFlag.barrier],
  ]);
});

test("relative expiries of sources below 7.0 become absolute at receipt, all else stays as it is; each is flagged", () => {
  const lines = [
    "SETEX a 10 v",
    "PEXPIRE a 1500",
    "EXPIREAT a 1900000000",
    "set a v px 20",
    "SET a v",
    "RESTORE a 5000 x",
    "RESTORE-ASKING a 5000 x REPLACE",
    "RESTORE-ASKING a 0 x",
  ];
  const at = (ms: number): string => String(NOW_MS + ms);
  expect(carried(stream(...lines), { version: 60_216 }).map(({ commands, flags }) => [commands[0], flags])).toEqual([
    [`SET a v PXAT ${at(10_000)}`, ChangeFlag.expiry],
    [`PEXPIREAT a ${at(1500)}`, ChangeFlag.expiry],
    ["EXPIREAT a 1900000000", ChangeFlag.expiry],
    [`set a v PXAT ${at(20)}`, ChangeFlag.expiry],
    ["SET a v", 0],
    [`RESTORE a ${at(5000)} x ABSTTL`, ChangeFlag.expiry],
    [`RESTORE a ${at(5000)} x REPLACE ABSTTL`, ChangeFlag.expiry],
    ["RESTORE a 0 x", ChangeFlag.expiry],
  ]);
  const migrated = "RESTORE-ASKING a 1900000000000 x ABSTTL";
  const later = stream("PEXPIREAT a 1900000000000", "SET a v", migrated);
  expect(carried(later, { version: 70_000 }).map(({ commands, flags }) => [commands[0], flags])).toEqual([
    ["PEXPIREAT a 1900000000000", ChangeFlag.expiry],
    ["SET a v", 0],
    ["RESTORE a 1900000000000 x ABSTTL", ChangeFlag.expiry],
  ]);
});

test("a blocking command becomes its plain form, which a transaction may hold", () => {
  expect(carried(stream("brpoplpush l m 0"), { version: 20_824 })[0]).toMatchObject({ commands: ["RPOPLPUSH l m"], flags: 0 });
});

const keyOfLane = (lane: number, lanes: number): string => {
  for (let n = 0; ; n++) {
    const key = Buffer.from(`k${n}`);
    if (laneOf(keySlot(key, 0, key.length), lanes) === lane) return `k${n}`;
  }
};

// Mutation: #rewritten without withoutTrimLimit: the destination refuses the command, and the lane halts.
test("the LIMIT of a trim is left out: only a server's own primary may say it beside an exact length", () => {
  const { reader, batchers } = setUp();
  reader.push(stream("XADD s MAXLEN = 5 LIMIT 100 1-1 f v", "XTRIM s MINID = 3-0 LIMIT 7", "XADD s MAXLEN = 5 2-1 LIMIT 1"));
  expect(unitsOf(batchers).map(({ commands, flags }) => [commands.join(), flags & ChangeFlag.expiry])).toEqual([
    ["XADD s MAXLEN = 5 1-1 f v", 0],
    ["XTRIM s MINID = 3-0", 0],
    ["XADD s MAXLEN = 5 2-1 LIMIT 1", 0],
  ]);
});

test("ordered-lane: each key goes to the lane of its slot", () => {
  const [a, b] = [keyOfLane(0, 4), keyOfLane(3, 4)];
  const units = carried(stream(`SET ${a} 1`, `SET ${b} 1`, `DEL ${a}`, "MULTI", `SET ${b} 2`, "EXEC"), { lanes: 4 });
  expect(units.map(({ lane, commands }) => [lane, commands[0]])).toEqual([
    [0, `SET ${a} 1`],
    [0, `DEL ${a}`],
    [3, `SET ${b} 1`],
    [3, `SET ${b} 2`],
  ]);
});

test("applied-once: DEL, UNLINK and MSET over several lanes are taken apart, each lane with its own keys and the same end", () => {
  const [a, b, c] = [keyOfLane(0, 4), keyOfLane(2, 4), keyOfLane(0, 8)];
  const bytes = stream("SELECT 3", `mset ${a} 1 ${b} 2 ${c} 3`, `DEL ${b} ${a}`);
  const ends = [bytes.length - stream(`DEL ${b} ${a}`).length, bytes.length];
  const units = carried(bytes, { lanes: 4 });
  expect(units.map(({ lane, end, db, commands }) => [lane, end, db, ...commands])).toEqual([
    [0, ends[0], 3, `mset ${a} 1 ${c} 3`],
    [0, ends[1], 3, `DEL ${a}`],
    [2, ends[0], 3, `mset ${b} 2`],
    [2, ends[1], 3, `DEL ${b}`],
  ]);
  // A lane that is ahead has its share already; the others still get theirs.
  const resumed = carried(bytes, { lanes: 4, tails: [ends[0] ?? 0, 0, 0, 0] });
  expect(resumed.map(({ lane, commands }) => [lane, ...commands])).toEqual([
    [0, `DEL ${a}`],
    [2, `mset ${b} 2`],
    [2, `DEL ${b}`],
  ]);
});

// Mutation: change-reader.ts, `#isOwn` false: the marks of one pipeline travel through the next one.
test("marks of other pipelines are passed over, alone and in transactions, and count in the offset", () => {
  const bytes = stream(
    "SET sluice:{06S}:other:main:s0.0 1|1|1|live|s0|5|7",
    "MULTI",
    "SET sluice:{06S}:other:main:s0.0 1|1|1|live|s0|9|8",
    "SET a 1",
    "EXEC",
    "MULTI",
    "HDEL sluice:{06S}:other:main:s0.0:repaired 0:a",
    "EXEC",
    "DEL sluice:{06S}:other:main:s0.0:repaired",
    "SET sluice:x 1",
    "SET sluic 1",
  );
  const { reader, batchers } = setUp({ lanes: 4 });
  reader.push(bytes);
  expect(
    unitsOf(batchers)
      .flatMap(({ commands }) => commands)
      .toSorted(),
  ).toEqual(["SET a 1", "SET sluic 1", "SET sluice:x 1"]);
  expect(reader.boundary).toBe(bytes.length);
});

// Mutation: change-reader.ts, `#isOwn` without `isTemporaryKey`: the RENAME alone is left, of a key that the next destination never saw.
test("what another pipeline builds in the source travels with the RENAME that puts it in its place, its notes do not", () => {
  const key = temporaryKey("06S", "other", "main", "s0", 0, "w1-abc-1");
  const bytes = stream(
    `SADD ${attemptsKey("06S", "other", "main", "s0", 0)} 0:${key}`,
    `RPUSH ${key} a`,
    `PEXPIREAT ${key} 4000000000000`,
    `RPUSH ${key} b`,
    "MULTI",
    `RENAME ${key} l`,
    "PERSIST l",
    `SREM ${attemptsKey("06S", "other", "main", "s0", 0)} 0:${key}`,
    "SET sluice:{06S}:other:main:s0.0 1|1|1|snap|s0|9|8",
    "EXEC",
  );
  const { reader, batchers } = setUp({ lanes: 1 });
  reader.push(bytes);
  expect(unitsOf(batchers).flatMap(({ commands }) => commands)).toEqual([
    `RPUSH ${key} a`,
    `PEXPIREAT ${key} 4000000000000`,
    `RPUSH ${key} b`,
    `RENAME ${key} l`,
    "PERSIST l",
  ]);
});

test("commands on slots that the shard does not own are passed over, and count in the offset", () => {
  const [mine, other] = [keyOfLane(0, 2), keyOfLane(1, 2)];
  const slots = SlotSet.parse("0-8191");
  const bytes = stream(`SET ${other} 1`, `SET ${mine} 1`, "MULTI", `SET ${other} 2`, "EXEC", `DEL ${mine} ${other}`);
  const { reader, batchers } = setUp({ lanes: 2, slots });
  reader.push(bytes);
  expect(reader.boundary).toBe(bytes.length);
  expect(unitsOf(batchers).map(({ lane, commands }) => [lane, ...commands])).toEqual([
    [0, `SET ${mine} 1`],
    [0, `DEL ${mine}`],
  ]);
});

// Mutation: change-reader.ts, `#laneOfKeys`: what names no key goes into lane 0, whatever it changes in the others.
test.each([
  ["RENAME $a $b"],
  ["FLUSHALL"],
  ["FUNCTION FLUSH"],
  ["EVAL script 0"],
  ["ZUNIONSTORE $a 1 $b"],
  ["MULTI\nSET $a 1\nSET $b 1\nEXEC"],
])("loud: what concerns several lanes halts: %s", (lines) => {
  const bytes = stream(...lines.replaceAll("$a", keyOfLane(0, 4)).replaceAll("$b", keyOfLane(1, 4)).split("\n"));
  const { reader } = setUp({ lanes: 4 });
  expect(() => reader.push(bytes)).toThrow(expect.objectContaining({ code: "PIP-004" }));
  expect(() => setUp().reader.push(bytes)).not.toThrow();
});

test.each([
  "CONFIG SET dir /",
  "DEBUG SLEEP 1",
  "SHUTDOWN",
  "REPLICAOF NO ONE",
  "ACL SETUSER x",
  "MIGRATE h 1 k 0 1",
  "GET a",
  "SLUICE.KEYED 1 SET a",
  "DISCARD",
])("loud: %s is never forwarded", (line) => {
  const { reader, batchers } = setUp();
  const push = (): unknown => reader.push(Buffer.concat([stream("SET a 1"), stream(line)]));
  expect(push).toThrow(Halt);
  expect(unitsOf(batchers).map(({ commands }) => commands)).toEqual([["SET a 1"]]);
});

test("what is no command is an error of the stream, and names its place", () => {
  expect(() => setUp().reader.push(Buffer.from("*1\r\n$4\r\nPING\r\nPING\r\n"))).toThrow(RespError);
});

test.each(fixtureVersions)("the recordings of %s pass through whole, whatever the pieces they come in", (version) => {
  const [major = 0, minor = 0, patch = 0] = version.split(".").map(Number);
  const numeric = major * 10_000 + minor * 100 + patch;
  for (const name of ["replication", "replication-diskless"] as const) {
    const { content, bytes, fullresync, finalOffset } = loadRecording(version, name);
    const recorded = content.subarray(bytes.streamStart);
    const setup = { version: numeric, offset: fullresync.offset };
    const writes = writesIn(recorded);
    let whole: Unit[] | null = null;
    for (const sizes of [[recorded.length], [1], [13, 1, 700], [4096]]) {
      const { reader, batchers } = setUp(setup);
      pushInPieces(reader, recorded, sizes);
      expect([reader.boundary, reader.isInTransaction, reader.commands]).toEqual([finalOffset, false, writes.length]);
      const units = unitsOf(batchers);
      whole ??= units;
      expect(units).toEqual(whole);
    }
    const commands = (whole ?? []).flatMap((unit) => unit.commands);
    if (numeric >= 70_000) expect(commands).toEqual(writes);
    expect(commands.map(keyOf)).toEqual(writes.map(keyOf));
  }
});

/** The commands that change something, found without the reader. */
function writesIn(bytes: Buffer): string[] {
  const framer = new CommandFramer();
  framer.push(bytes);
  const found: string[] = [];
  while (framer.next()) {
    const kind = commandTable.kind[commandTable.idOfCommand(framer)];
    if (kind !== CommandKind.write && kind !== CommandKind.script && kind !== CommandKind.barrier) continue;
    found.push(
      Array.from({ length: framer.argc }, (_, at) =>
        framer.buffer.toString("latin1", framer.argStart(at), framer.argEnd(at)),
      ).join(" "),
    );
  }
  return found;
}

/** Of scripts that it is one: what was called by its digest is called by its body. */
function keyOf(command: string): string | undefined {
  return /^evalsha |^eval /i.test(command) ? "a script" : command.split(" ")[1];
}

const piece = fc.oneof(
  fc.constantFrom(
    "PING",
    "SELECT 2",
    "SET k 1",
    "INCR {a}n",
    "PEXPIREAT k 1900000000000",
    "FLUSHDB",
    "PUBLISH c m",
    "REPLCONF GETACK *",
  ),
  fc
    .array(fc.constantFrom("SET x 1", "SELECT 1", "DEL y", "RPUSH l 1 2 3"), { maxLength: 4 })
    .map((inside) => ["MULTI", ...inside, "EXEC"].join("\n")),
);

test("every split of a stream gives the same units", () => {
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 }),
      (lines, sizes) => {
        const bytes = stream(...lines.flatMap((line) => line.split("\n")));
        const { reader, batchers } = setUp();
        pushInPieces(reader, bytes, sizes);
        expect(reader.boundary).toBe(bytes.length);
        expect(unitsOf(batchers)).toEqual(carried(bytes));
      },
    ),
    { numRuns: 200 },
  );
});
