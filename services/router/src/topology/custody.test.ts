import type { CustodyRecord } from "@sluice/wire";
import { describe, expect, test } from "vitest";
import { judgeCustody, type Custody } from "./custody.ts";

const NONE = "0".repeat(40);

/** Nodes a and b with a half each, c without slots; each has its first history. */
function look(changes: Partial<Custody> = {}): Custody {
  return {
    owners: { a: "0-8191", b: "8192-16383" },
    histories: { a: "a1", b: "b1", c: "c1" },
    formerHistories: { a: NONE, b: NONE, c: NONE },
    moves: [],
    nodeIds: ["a", "b", "c", "d"],
    ...changes,
  };
}

const moving = [{ slot: 7, from: "a", to: "b" }];
const remembered = (now: Custody, before: CustodyRecord | null = null, nowMs = 0): CustodyRecord =>
  judgeCustody(before, now, nowMs).next;
const doubted = (before: CustodyRecord | null, now: Custody, nowMs = 1_000): string =>
  judgeCustody(before, now, nowMs).doubtful.toString();

/** d was the replica of b, or of a, and has taken over from it. */
const heirOfB = {
  owners: { a: "0-8191", d: "8192-16383" },
  histories: { a: "a1", c: "c1", d: "d1" },
  formerHistories: { a: NONE, c: NONE, d: "b1" },
};
const heirOfA = {
  owners: { d: "0-8191", b: "8192-16383" },
  histories: { b: "b1", c: "c1", d: "d1" },
  formerHistories: { b: NONE, c: NONE, d: "a1" },
};

describe("judgeCustody", () => {
  test("a failover alone is not doubted, nor is a move alone, nor the first look at a cluster, nor another cluster", () => {
    expect(doubted(remembered(look()), look())).toBe("");
    expect(doubted(remembered(look()), look(heirOfB))).toBe("");
    expect(doubted(remembered(look()), look({ moves: moving }))).toBe("");
    expect(doubted(remembered(look({ moves: moving })), look({ owners: { a: "0-6,8-8191", b: "7,8192-16383" } }))).toBe("");
    expect(doubted(null, look({ ...heirOfB, moves: moving }))).toBe("");
    expect(doubted(remembered(look({ moves: moving })), look({ ...heirOfB, nodeIds: ["x", "y"] }))).toBe("");
  });

  // Mutations: either end of `isDoubtful` left out; moves of the former look or of this one left out; `changesOfOwner` empty.
  test.each([
    ["who gets it fails over", heirOfB],
    ["who gives it fails over", heirOfA],
    ["who gets it starts anew", { histories: { a: "a1", b: "b2", c: "c1" } }],
  ])("a slot on its way is doubted when %s", (_, change) => {
    expect(doubted(remembered(look({ moves: moving })), look(change))).toBe("7");
    expect(doubted(remembered(look({ moves: moving })), look({ ...change, moves: moving }))).toBe("7");
    expect(doubted(remembered(look()), look({ ...change, moves: moving }))).toBe("7");
  });

  test("so is one that went over unseen, and no other", () => {
    const gone = look({ ...heirOfB, owners: { a: "0-6,8-8191", d: "7,8192-16383" } });
    expect(doubted(remembered(look()), gone)).toBe("7");
    const given = look({ ...heirOfA, owners: { d: "0-6,8-8191", b: "7,8192-16383" } });
    expect(doubted(remembered(look()), given)).toBe("7");
  });

  test("what has gone over is doubted while a replica of its new owner may lack it, and not for ever", () => {
    const begun = remembered(look({ moves: moving }));
    const owners = { a: "0-6,8-8191", b: "7,8192-16383" };
    const ended = remembered(look({ owners }), begun, 5_000);
    expect(ended.moves).toEqual([{ slots: "7", from: "a", to: "b", endedAt: 5_000 }]);
    const seen = remembered(look({ owners }), remembered(look()), 5_000);
    expect(seen.moves).toEqual(ended.moves);
    const takenOver = look({ ...heirOfB, owners: { a: "0-6,8-8191", d: "7,8192-16383" } });
    const later = remembered(look({ owners }), ended, 64_999);
    expect(later.moves).toEqual(ended.moves);
    expect(doubted(later, takenOver, 65_000)).toBe("7");
    expect(remembered(look({ owners }), later, 65_000).moves).toEqual([]);
    expect(doubted(remembered(look({ owners }), later, 65_000), takenOver, 65_001)).toBe("");
  });

  test("a node that has just joined may take slots; one that was promoted meanwhile may have lost some", () => {
    const toD = [{ slot: 7, from: "a", to: "d" }];
    const histories = { a: "a1", b: "b1", c: "c1", d: "d1" };
    const joined = { histories, formerHistories: { a: NONE, b: NONE, c: NONE, d: NONE }, moves: toD };
    expect(doubted(remembered(look()), look(joined))).toBe("");
    const promoted = { ...joined, formerHistories: { ...joined.formerHistories, d: "e1" } };
    expect(doubted(remembered(look()), look(promoted))).toBe("7");
  });

  test("a move that names a node which failed long ago is doubted once", () => {
    const first = judgeCustody(remembered(look({ moves: moving })), look({ ...heirOfB, moves: moving }), 1_000);
    expect(first.doubtful.toString()).toBe("7");
    expect(doubted(first.next, look({ ...heirOfB, moves: moving }))).toBe("");
  });

  test("slots are remembered by their ways", () => {
    const moves = [
      { slot: 9, from: "a", to: "b" },
      { slot: 7, from: "a", to: "b" },
      { slot: 7, from: "a", to: "b" },
      { slot: 9_000, from: "b", to: "c" },
    ];
    expect(remembered(look({ moves })).moves).toEqual([
      { slots: "7,9", from: "a", to: "b", endedAt: null },
      { slots: "9000", from: "b", to: "c", endedAt: null },
    ]);
  });
});
