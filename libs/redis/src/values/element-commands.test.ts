import { describe, expect, test } from "vitest";
import { VALKEY_HASH } from "../rdb/rdb-type.ts";
import { ElementCommands, elementCommands, pendingIds, type ElementCommandOptions } from "./index.ts";
import { mergedIds, PendingIds } from "./pending-ids.ts";
import { blob, consumerOf, hex, listpackOf, pendingOf, streamNode } from "./raw-values.sample.ts";

const redis = (version: number): ElementCommandOptions["destination"] => ({ version, isValkey: false });
const NEWEST = redis(80_000);

type Options = Partial<ElementCommandOptions> & { readonly lacking?: string[] };

/** Commands as lines; a piece of bytes is its text. */
function made(type: number, value: Buffer, { lacking = [], ...options }: Options = {}): string[] {
  const lacks = (what: string): void => void lacking.push(what);
  const commands = elementCommands(type, [value], { key: Buffer.from("k"), destination: NEWEST, lacks, ...options });
  return [...commands].map((command) => command.map(String).join(" "));
}

const strings = (...texts: string[]): Buffer =>
  Buffer.concat(texts.map((text) => Buffer.concat([Buffer.of(text.length), Buffer.from(text)])));
const listOf = (...texts: string[]): Buffer => Buffer.concat([Buffer.of(texts.length), strings(...texts)]);

describe("commands of bounded size", () => {
  test("a string is set and appended to", () => {
    expect(made(0, strings("abcdefgh"), { maxBytes: 3 })).toEqual(["SET k abc", "APPEND k def", "APPEND k gh"]);
    expect(made(0, hex("00"))).toEqual(["SET k "]);
    expect(made(0, hex("c1 3930"))).toEqual(["SET k 12345"]);
  });

  // Mutation: command-chunk.ts, isFullFor without one of its two limits.
  test("elements by number and by bytes, a longer one alone", () => {
    expect(made(1, listOf("a", "b", "c"), { maxElements: 2 })).toEqual(["RPUSH k a b", "RPUSH k c"]);
    expect(made(2, listOf("aa", "bb", "ccccccccc", "d"), { maxBytes: 4 })).toEqual([
      "SADD k aa bb",
      "SADD k ccccccccc",
      "SADD k d",
    ]);
    const zset = hex("03 0161", "000000000000f03f", "0162", "9a9999999999b93f", "0163", "0000000000000080");
    expect(made(5, zset, { maxElements: 2 })).toEqual(["ZADD k 1 a 0.1 b", "ZADD k -0 c"]);
    expect(made(3, hex("02 0161 fe 0162 ff"))).toEqual(["ZADD k inf a -inf b"]);
    expect(made(4, hex("02 0161 0162 0163 0164"), { maxElements: 1 })).toEqual(["HSET k a b", "HSET k c d"]);
    expect(made(1, hex("00"))).toEqual([]);
  });

  test("as pieces come, and only what is complete", () => {
    const commands = new ElementCommands(1, {
      key: Buffer.from("k"),
      destination: NEWEST,
      maxElements: 2,
      lacks: () => undefined,
    });
    const value = listOf("a", "b", "c", "d");
    expect([...commands.push(value.subarray(0, 6))]).toEqual([]);
    expect([...commands.push(value.subarray(6, 8))]).toHaveLength(1);
    expect([...commands.push(value.subarray(8))]).toEqual([]);
    expect([...commands.finish()]).toHaveLength(1);
    expect(() => [...new ElementCommands(1, { key: value, destination: NEWEST, lacks: () => undefined }).finish()]).toThrow(
      "the value is cut off",
    );
  });
});

describe("what a destination knows", () => {
  const expiring = Buffer.concat([hex("0500000000000000"), hex("03 01 0161 0162 01 0163 0164 00 0165 0166")]);

  test("expiries of fields, shifted, with each chunk", () => {
    const shift = (atMs: number): number => atMs * 2;
    expect(made(24, expiring, { shift })).toEqual(["HSET k a b c d e f", "HPEXPIREAT k 10 FIELDS 2 a c"]);
    expect(made(24, expiring, { maxElements: 1 })).toEqual([
      "HSET k a b",
      "HPEXPIREAT k 5 FIELDS 1 a",
      "HSET k c d",
      "HPEXPIREAT k 5 FIELDS 1 c",
      "HSET k e f",
    ]);
    const packed = Buffer.concat([hex("0500000000000000"), blob(listpackOf("a", "b", 5, "c", "d", 0))]);
    expect(made(25, packed, { shift: () => -7 })).toEqual(["HSET k a b c d", "HPEXPIREAT k 1 FIELDS 1 a"]);
    const ofValkey = hex("01 0161 0162 0500000000000000");
    expect(made(VALKEY_HASH, ofValkey, { destination: { version: 90_000, isValkey: true } })).toHaveLength(2);
  });

  test("expiries of fields that it lacks are named, one by one", () => {
    for (const destination of [redis(70_200), { version: 80_100, isValkey: true }]) {
      const lacking: string[] = [];
      expect(made(24, expiring, { destination, lacking })).toEqual(["HSET k a b c d e f"]);
      expect(lacking).toEqual(["expiries of hash fields", "expiries of hash fields"]);
    }
    const refuse = (what: string): never => {
      throw new Error(what);
    };
    expect(() => made(24, expiring, { destination: redis(30_000), lacks: refuse })).toThrow("expiries of hash fields");
  });

  test("HMSET before 4.0", () => {
    expect(made(4, hex("01 0161 0162"), { destination: redis(30_200) })).toEqual(["HMSET k a b"]);
    expect(made(4, hex("01 0161 0162"), { destination: redis(40_000) })).toEqual(["HSET k a b"]);
  });

  test("streams and values of modules that it lacks", () => {
    const lacking: string[] = [];
    expect(made(15, hex("00 00 00 00 00"), { destination: redis(40_000), lacking })).toEqual([]);
    expect(made(7, hex("81 0000000000000000 00"), { lacking })).toEqual([]);
    expect(lacking).toEqual(["streams", "values of module, which only RESTORE can carry"]);
  });
});

describe("streams", () => {
  /** `type` 21: nodes, state (length, last id, first, deleted, added), groups. */
  const stream = (nodes: Buffer[], state: string, ...groups: Buffer[]): Buffer =>
    Buffer.concat([Buffer.of(nodes.length), ...nodes, hex(state), Buffer.of(groups.length), ...groups]);
  const groupOf = (name: string, read: string, pending: Buffer, ...consumers: Buffer[]): Buffer =>
    Buffer.concat([strings(name), hex("08 00", read), pending, Buffer.of(consumers.length), ...consumers]);
  const two = [streamNode(5, [[0, 0, "v"]]), streamNode(7, [[0, 0, "w"]])];
  const unknown = "81 ffffffffffffffff";

  test("entries, state, group, consumers, pending entries: those alike in one command", () => {
    const pending = pendingOf([5, 100, 1], [7, 100, 1]);
    const value = stream(two, "02 09 00 05 00 06 00 0a", groupOf("g", "03", pending, consumerOf("c", 5, 7), consumerOf("d")));
    expect(made(21, value)).toEqual([
      "XADD k 5-0 f v",
      "XADD k 7-0 f w",
      "XSETID k 9-0 ENTRIESADDED 10 MAXDELETEDID 6-0",
      "XGROUP CREATE k g 8-0 ENTRIESREAD 3",
      "XGROUP CREATECONSUMER k g c",
      "XCLAIM k g c 0 5-0 7-0 TIME 100 RETRYCOUNT 1 FORCE JUSTID",
      "XGROUP CREATECONSUMER k g d",
    ]);
    expect(made(21, value, { maxElements: 1 }).filter((line) => line.startsWith("XCLAIM"))).toHaveLength(2);
  });

  test("what 5.0 knows", () => {
    const value = stream(two, "02 09 00 05 00 06 00 0a", groupOf("g", "03", pendingOf([5, 100, 2]), consumerOf("c", 5)));
    expect(made(21, value, { destination: redis(50_000) })).toEqual([
      "XADD k 5-0 f v",
      "XADD k 7-0 f w",
      "XSETID k 9-0",
      "XGROUP CREATE k g 8-0",
      "XREADGROUP GROUP g c COUNT 1 STREAMS k 0",
      "XCLAIM k g c 0 5-0 TIME 100 RETRYCOUNT 2 FORCE JUSTID",
    ]);
  });

  test("one without entries, with a group that read no one knows how much, and counters that are not known", () => {
    expect(made(21, stream([], "00 09 00 00 00 00 00 04", groupOf("g", unknown, pendingOf())))).toEqual([
      "XGROUP CREATE k - 0-0 MKSTREAM",
      "XGROUP DESTROY k -",
      "XSETID k 9-0 ENTRIESADDED 4",
      "XGROUP CREATE k g 8-0",
    ]);
    expect(made(15, Buffer.concat([Buffer.of(1), two[0]!, hex("01 05 00 00")]))).toEqual([
      "XADD k 5-0 f v",
      "XSETID k 5-0 ENTRIESADDED 1",
    ]);
  });

  test("pending entries that were deleted: added in their place, claimed, deleted", () => {
    const pending = pendingOf([3, 100, 1], [5, 100, 1], [6, 100, 1], [9, 100, 1], [10, 100, 1]);
    const lacking: string[] = [];
    const value = stream(two, "02 09 00 05 00 06 00 0a", groupOf("g", "03", pending, consumerOf("c", 3, 5, 6, 9, 10)));
    expect(made(21, value, { lacking })).toEqual([
      "XADD k 3-0 - -",
      "XADD k 5-0 f v",
      "XADD k 6-0 - -",
      "XADD k 7-0 f w",
      "XADD k 9-0 - -",
      "XSETID k 9-0 ENTRIESADDED 10",
      "XGROUP CREATE k g 8-0 ENTRIESREAD 3",
      "XGROUP CREATECONSUMER k g c",
      "XCLAIM k g c 0 3-0 5-0 6-0 9-0 10-0 TIME 100 RETRYCOUNT 1 FORCE JUSTID",
      "XTRIM k MINID 5-0",
      "XDEL k 6-0 9-0",
      "XSETID k 9-0 ENTRIESADDED 10 MAXDELETEDID 6-0",
    ]);
    expect(lacking).toEqual(["pending entries above the last id of a stream"]);
    const before62 = made(21, value, { destination: redis(60_000) });
    expect(before62.slice(-3)).toEqual(["XDEL k 3-0", "XDEL k 6-0 9-0", "XSETID k 9-0"]);
    const allGone = stream([], "00 09 00 00 00 00 00 0a", groupOf("g", "03", pendingOf([3, 1, 1]), consumerOf("c", 3)));
    expect(made(21, allGone).slice(-2)).toEqual(["XTRIM k MAXLEN 0", "XSETID k 9-0 ENTRIESADDED 10"]);
  });

  test("ids of idempotent producers are named", () => {
    const lacking: string[] = [];
    made(26, hex("00 00 00 00 00 00 00 00 00 00", "0a 0a 01 0170 01 0131 05 00 01 00"), { lacking });
    expect(lacking).toEqual(["ids of idempotent producers of a stream"]);
  });

  test("pending ids of all groups, each once, in order", () => {
    const value = stream(
      two,
      "02 09 00 05 00 06 00 0a",
      groupOf("g", "03", pendingOf([3, 1, 1], [7, 1, 1]), consumerOf("c", 3, 7)),
      groupOf("h", "03", pendingOf()),
      groupOf("i", "03", pendingOf([2, 1, 1], [3, 1, 1]), consumerOf("c", 2, 3)),
    );
    const ids = pendingIds(21, [value.subarray(0, 70), value.subarray(70)]);
    expect(Array.from({ length: ids.size }, (_, index) => ids.at(index).ms)).toEqual([2n, 3n, 7n]);
  });
});

// Mutation: pending-ids.ts, runs merged one after the other into the first.
test("the pending entries of 20 000 groups are merged in no time", () => {
  const groups = Array.from({ length: 20_000 }, (_, group) => {
    const ids = new PendingIds();
    for (let index = 0; index < 10; index++) ids.add({ ms: BigInt(index * 20_000 + group), seq: 0n });
    return ids;
  });
  const start = performance.now();
  const merged = mergedIds(groups);
  expect(merged.size).toBe(200_000);
  expect(merged.at(199_999).ms).toBe(199_999n);
  expect(merged.find({ ms: 77n, seq: 0n })).toBe(77);
  expect(merged.find({ ms: 77n, seq: 1n })).toBe(-1);
  expect(performance.now() - start).toBeLessThan(15_000);
});
