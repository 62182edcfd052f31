import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CanonicalContent, CanonicalKey, CanonicalStream } from "./canonical.ts";
import { diffCanonical, type DiffCanonicalOptions } from "./diff-canonical.ts";
import { graceExpiry } from "./expiry-rule.ts";
import { fixtureVersions, loadExpected } from "../recorded/fixtures.ts";

const content = (...keys: CanonicalKey[]): CanonicalContent => ({
  server: "redis",
  version: "7.0.15",
  databases: {},
  functions: [],
  scripts: [],
  keys,
});
const base64 = (text: string): string => Buffer.from(text).toString("base64");
const place = { db: 0, key: base64("k"), pexpireat: null };
const zset = (...value: [string, string][]): CanonicalKey => ({ ...place, type: "zset", value });
const text = (value: string, pexpireat: number | null = null): CanonicalKey => ({
  ...place,
  pexpireat,
  type: "string",
  value: base64(value),
});
const whats = (expected: CanonicalKey, actual: CanonicalKey, options?: DiffCanonicalOptions): string[] =>
  diffCanonical(content(expected), content(actual), options).map(({ what }) => what);

const stream: CanonicalStream = {
  entries: [["2-1", [base64("f"), base64("v")]]],
  lastId: "3-0",
  entriesAdded: 3,
  maxDeletedId: "1-0",
  groups: [
    {
      name: base64("g"),
      lastId: "2-1",
      entriesRead: 2,
      pel: [
        ["1-0", base64("c"), 100, 1],
        ["2-1", base64("c"), 200, 2],
      ],
      consumers: [
        { name: base64("c"), seenTime: 1, activeTime: null, pending: ["1-0", "2-1"] },
        { name: base64("d"), seenTime: 1, activeTime: null, pending: [] },
      ],
    },
  ],
};
const [group] = stream.groups;
const streamKey = (changes: Partial<CanonicalStream>): CanonicalKey => ({
  ...place,
  type: "stream",
  value: { ...stream, ...changes },
});
const withGroup = (changes: Partial<NonNullable<typeof group>>): CanonicalKey =>
  streamKey({ groups: group === undefined ? [] : [{ ...group, ...changes }] });

describe("diffCanonical", () => {
  test.each(fixtureVersions)("a content of %s equals itself and no content without one of its keys", (version) => {
    const expected = loadExpected(version, "expected");
    expect(diffCanonical(expected, expected)).toEqual([]);
    const without = { ...expected, keys: expected.keys.slice(1) };
    expect(diffCanonical(expected, without).map(({ what }) => what)).toEqual(["missing"]);
    expect(diffCanonical(without, expected).map(({ what }) => what)).toEqual([expect.stringContaining("extra")]);
  });

  test("scores are numbers, whatever their text", () => {
    expect(
      whats(zset(["a", "0.10000000000000001"], ["b", "-0"], ["c", "inf"]), zset(["b", "0"], ["a", "0.1"], ["c", "inf"])),
    ).toEqual([]);
    expect(whats(zset(["a", "inf"]), zset(["a", "-inf"]))).toEqual([expect.stringContaining("score")]);
    expect(whats(zset(["a", "0.1"]), zset(["a", "0.10000000000000002"]))).toEqual([expect.stringContaining("score")]);
  });

  test("finds type, value, list order and a field", () => {
    expect(whats(text("a"), zset(["a", "1"]))).toEqual(["type zset, expected string"]);
    expect(whats(text("abc"), text("abd"))).toEqual(["value differs from byte 2 of 3"]);
    const list = (...value: string[]): CanonicalKey => ({ ...place, type: "list", value });
    expect(whats(list("a", "b"), list("b", "a"))).toEqual([expect.stringContaining("element 0")]);
    expect(whats(list("a"), list("a", "a"))).toEqual([expect.stringContaining("2 × element")]);
    const hash = (field: string): CanonicalKey => ({ ...place, type: "hash", value: [["f", field]] });
    expect(whats(hash("1"), hash("2"))).toEqual([expect.stringContaining("field 0")]);
  });

  test.each<[string, CanonicalKey]>([
    ["entry", streamKey({ entries: [] })],
    ["last id", streamKey({ lastId: "4-0" })],
    ["entries added", streamKey({ entriesAdded: 4 })],
    ["max deleted id", streamKey({ maxDeletedId: "1-1" })],
    ["group", streamKey({ groups: [] })],
    ["group", withGroup({ lastId: "1-0" })],
    ["group", withGroup({ pel: [["2-1", base64("c"), 200, 2]] })],
    ["group", withGroup({ pel: group?.pel.map(([id, consumer, , count]) => [id, consumer, 0, count] as const) ?? [] })],
    ["group", withGroup({ consumers: group?.consumers.slice(0, 1) ?? [] })],
  ])("finds a stream's %s", (what, actual) => {
    expect(whats(streamKey({}), actual)).toEqual([expect.stringContaining(what)]);
  });

  test("ignores in a stream what it is told, and what an old version does not know", () => {
    expect(whats(streamKey({}), withGroup({ entriesRead: null }))).toEqual([]);
    expect(whats(streamKey({}), withGroup({ entriesRead: null }), { ignore: [] })).toEqual([expect.stringContaining("group")]);
    expect(whats(streamKey({ entriesAdded: null, maxDeletedId: null }), streamKey({}))).toEqual([]);
    const pruned = withGroup({
      pel: [["2-1", base64("c"), 200, 2]],
      consumers: [{ name: base64("c"), seenTime: 9, activeTime: null, pending: ["2-1"] }],
    });
    expect(whats(streamKey({}), pruned, { ignore: ["seenTime", "emptyConsumers", "deletedPending"] })).toEqual([]);
  });

  test("expiries follow the rule", () => {
    expect(whats(text("v", 1000), text("v", 1000))).toEqual([]);
    expect(whats(text("v", 1000), text("v", 1001))).toEqual([expect.stringContaining("expires at 1001, expected 1000")]);
    expect(whats(text("v", 1000), text("v", 1300), { expiryMayBeLaterByMs: 300 })).toEqual([]);
    expect(whats(text("v", 1000), text("v", 999), { expiryMayBeLaterByMs: 300 })).toHaveLength(1);
    expect(whats(text("v", 1001), text("v", 1501), { expiryOf: graceExpiry(500) })).toEqual([]);
    expect(whats(text("v", 1001), text("v"))).toEqual(["has no expiry, expected 1001"]);
    expect(whats(text("v"), text("v", 5))).toEqual(["expires at 5, expected no expiry"]);
  });

  test("function libraries are compared by code", () => {
    const library = { name: "lib", engine: "LUA", code: base64("1") };
    const [one, other] = [
      { ...content(), functions: [library] },
      { ...content(), functions: [{ ...library, code: base64("2") }] },
    ];
    expect(diffCanonical(one, one)).toEqual([]);
    expect(diffCanonical(one, other)).toEqual([{ db: -1, key: "lib", what: "function library differs" }]);
    expect(diffCanonical(one, content())).toHaveLength(1);
    expect(diffCanonical(content(), one)).toHaveLength(1);
  });
});

test("an expiry with grace is odd, later by the grace and at most 1 ms off, and grows with the source's", () => {
  fc.assert(
    fc.property(fc.nat(2 ** 31), fc.nat(10 ** 9), (expiryMs, half) => {
      const expiryOf = graceExpiry(half * 2);
      const carried = expiryOf(expiryMs);
      expect(carried % 2).toBe(1);
      expect(Math.abs(carried - expiryMs - half * 2)).toBeLessThanOrEqual(1);
      expect(expiryOf(expiryMs + 1)).toBeGreaterThanOrEqual(carried);
    }),
  );
  expect(() => graceExpiry(3)).toThrow("even");
});
