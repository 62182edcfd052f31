import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  attemptsKey,
  comparePositions,
  formatMark,
  isTemporaryKey,
  keptCount,
  keptKey,
  keptName,
  keptShareKey,
  keptShareOf,
  laneMarkKey,
  markBeside,
  MarkError,
  parseKeptCount,
  parseKeptName,
  parseMark,
  placed,
  repairedKey,
  temporaryKey,
  type Position,
} from "./position.ts";

const position = (changed: Partial<Position>): Position => ({
  epoch: 2,
  copy: 1,
  phase: "live",
  shard: "s0",
  offset: 100,
  sequence: 9,
  ...changed,
});

const small = fc.nat(3);
const anyFailed = fc.record({
  count: fc.nat(999_999_999),
  indexes: fc.array(fc.nat(999_999_999), { minLength: 1, maxLength: 32 }),
  error: fc.string({ maxLength: 60, unit: "binary-ascii" }),
});
const anyJudged = fc.record(
  { offset: fc.maxSafeNat(), sequence: fc.maxSafeNat(), failed: anyFailed },
  { requiredKeys: ["offset", "sequence"] },
);
const anyReplid = fc.string({ minLength: 8, maxLength: 8, unit: fc.constantFrom("0", "7", "a", "f") });
const anyPlace: fc.Arbitrary<Position> = fc.record({
  epoch: fc.oneof(small, fc.nat(999_999_999_999_999)),
  copy: fc.oneof(small, fc.nat(999_999_999_999_999)),
  phase: fc.constantFrom("snap" as const, "live" as const),
  shard: fc.nat(999_999).map((shard) => `s${shard}`),
  offset: fc.oneof(small, fc.maxSafeNat()),
  sequence: fc.oneof(small, fc.maxSafeNat()),
});
const anyPosition = fc.oneof(
  anyPlace,
  fc.tuple(anyPlace, anyReplid).map(([place, replid]) => ({ ...place, replid })),
);

describe("marks", () => {
  test("the form in a destination is pinned", () => {
    expect(formatMark(position({}))).toBe("1|2|1|live|s0|100|9");
    expect(formatMark(position({ judged: { offset: 90, sequence: 8 } }))).toBe("1|2|1|live|s0|100|9|90|8");
    expect(formatMark(position({ replid: "0a1b2c3d" }))).toBe("1|2|1|live|s0|100|9@0a1b2c3d");
    const failed = { count: 40, indexes: [0, 7], error: "WRONGTYPE a|b" };
    expect(formatMark(position({ judged: { offset: 90, sequence: 8, failed } }))).toBe(
      "1|2|1|live|s0|100|9|90|8|40|0,7|WRONGTYPE a|b",
    );
    expect(repairedKey(laneMarkKey("3560", "p", "main", "s0", 4))).toBe("sluice:{3560}:p:main:s0.4:repaired");
    expect(laneMarkKey("3560", "p", "main", "s0", 4)).toBe("sluice:{3560}:p:main:s0.4");
  });

  test("names of kept keys: where they stand is pinned, and what is no name is told from one", () => {
    expect(keptKey("3560", "p", "main")).toBe("sluice:{3560}:p:main:kept");
    expect(keptShareKey("3560", "p", "main", 9)).toBe("sluice:{3560}:p:main:kept.9");
    expect([0, 255, 256, 16_383].map((slot) => keptShareOf(slot))).toEqual([0, 0, 1, 63]);
    const name = keptName(12, Buffer.from([0, 0x3a, 0xff]));
    expect([name.toString("latin1"), parseKeptName(name)]).toEqual(["12:\0:\xff", { db: 12, key: name.subarray(3) }]);
    expect([parseKeptName(Buffer.from(keptCount(3))), parseKeptCount(Buffer.from(keptCount(3)))]).toEqual([null, 3]);
    expect(["0:=3", "=x", "="].map((text) => parseKeptCount(Buffer.from(text)))).toEqual([null, null, null]);
    expect([":a", "x:a", "a"].map((text) => parseKeptName(Buffer.from(text)))).toEqual([null, null, null]);
  });

  test("a place names the history that it is in by its first digits, and none where that is of another form", () => {
    const there = placed(position({}), 200, 12, "0a1b2c3d".repeat(5));
    expect(there).toEqual(position({ offset: 200, sequence: 12, replid: "0a1b2c3d" }));
    expect(placed(there, 300, 13, "?")).toEqual(position({ offset: 300, sequence: 13 }));
  });

  test("another text beside which something was written means the same", () => {
    const failed = { count: 1, indexes: [0], error: "ERR a~0a1b2c3d" };
    const replid = "ffff0000";
    for (const given of [
      position({}),
      position({ replid }),
      position({ judged: { offset: 90, sequence: 8, failed }, replid }),
    ]) {
      const beside = markBeside(formatMark(given), "0a1b2c3d");
      expect(beside).toContain(given.replid === undefined ? "100|9~0a1b2c3d" : "100|9@ffff0000~0a1b2c3d");
      expect(parseMark(beside)).toEqual(given);
      expect(markBeside(beside, "ffffffff")).toBe(markBeside(formatMark(given), "ffffffff"));
    }
  });

  test("are read as they were written", () => {
    fc.assert(
      fc.property(anyPosition, (given) => {
        expect(parseMark(formatMark(given))).toEqual(given);
      }),
    );
    fc.assert(
      fc.property(anyPosition, anyJudged, (given, judged) => {
        expect(parseMark(formatMark({ ...given, judged }))).toEqual({ ...given, judged });
      }),
    );
  });

  test.each([
    ["nothing", ""],
    ["another text", "hello"],
    ["too few fields", "1|2|1|live|s0|100"],
    ["half of what is judged", "1|2|1|live|s0|100|9|1"],
    ["too many fields", "1|2|1|live|s0|100|9|1|1|1"],
    ["failed commands that it does not name", "1|2|1|live|s0|100|9|1|1|40||ERR"],
    ["a judged offset that is not exact", "1|2|1|live|s0|1|9|9007199254740992|9"],
    ["another phase", "1|2|1|done|s0|100|9"],
    ["no shard", "1|2|1|live|x|100|9"],
    ["a negative offset", "1|2|1|live|s0|-1|9"],
    ["a fraction", "1|2|1|live|s0|1.5|9"],
    ["a new line behind it", "1|2|1|live|s0|100|9\n"],
    ["an offset that is not exact", "1|2|1|live|s0|9007199254740992|9"],
    ["a sequence that is not exact", "1|2|1|live|s0|1|9999999999999999"],
    ["another version", "2|2|1|live|s0|100|9"],
  ])("refuse %s", (_name, text) => {
    expect(() => parseMark(text)).toThrow(MarkError);
    expect(() => parseMark(text)).toThrow(JSON.stringify(text));
  });

  test("quote at most 80 characters of what stands there", () => {
    expect(() => parseMark("x".repeat(10_000))).toThrow(new RegExp(`^not a mark of Sluice: "x{80}"; expected version`));
  });
});

describe("order", () => {
  test.each([
    ["a later epoch before all else", { epoch: 3, copy: 0, phase: "snap", offset: 0 }],
    ["a later copy before phase and offset", { copy: 2, phase: "snap", offset: 0 }],
    ["a larger offset", { offset: 101 }],
  ] as const)("%s", (_name, later) => {
    expect(comparePositions(position(later), position({}))).toBeGreaterThan(0);
    expect(comparePositions(position({}), position(later))).toBeLessThan(0);
  });

  test("live after snap", () => {
    expect(comparePositions(position({ offset: 0 }), position({ phase: "snap", offset: 5 }))).toBeGreaterThan(0);
  });

  test("the sequence is no part of it", () => {
    expect(comparePositions(position({ sequence: 1 }), position({ sequence: 2 }))).toBe(0);
  });

  test("is total: antisymmetric and transitive", () => {
    fc.assert(
      fc.property(anyPosition, anyPosition, anyPosition, (a, b, c) => {
        expect(Math.sign(comparePositions(a, b)) + Math.sign(comparePositions(b, a))).toBe(0);
        const [x, y, z] = [a, b, c].toSorted(comparePositions) as [Position, Position, Position];
        expect(comparePositions(x, y)).toBeLessThanOrEqual(0);
        expect(comparePositions(x, z)).toBeLessThanOrEqual(0);
      }),
    );
  });
});

// Mutation: position.ts, TEMPORARY without its last part: notes of attempts, and what a pipeline named tmp keeps, pass for values.
test("what is being built is told from all else that is Sluice's own", () => {
  const is = (key: string): boolean => isTemporaryKey(Buffer.from(`x${key}y`), 1, 1 + Buffer.byteLength(key));
  expect(is(temporaryKey("06S", "p", "main", "s0", 3, "writer-1-abc-7"))).toBe(true);
  const mark = laneMarkKey("06S", "tmp", "main", "s0", 3);
  const others = [attemptsKey("06S", "p", "main", "s0", 3), mark, repairedKey(mark), keptKey("06S", "tmp", "main")];
  expect([...others, "tmp:a:b:c:d", "sluice:x", ""].filter((key) => is(key))).toEqual([]);
});
