import type { CustodyRecord } from "@sluice/wire";
import { describe, expect, test } from "vitest";
import { judgeCustody, type Custody, type History } from "./custody.ts";

const NONE = "0".repeat(40);

/** Nodes a and b with a half each, c without slots; each has its first history and stands at 100. */
function look(changes: Partial<Custody> = {}): Custody {
  return {
    owners: { a: "0-8191", b: "8192-16383" },
    histories: { a: first("a1"), b: first("b1"), c: first("c1") },
    moves: [],
    followed: {},
    nodeIds: ["a", "b", "c", "d"],
    ...changes,
  };
}

const first = (replid: string): History => ({ replid, run: `run of ${replid[0]}`, offset: 100, former: NONE, formerEnd: -1 });
/** The same server started again, with what it had on its disk. */
const restarted = (replid: string): History => ({ ...first(replid), run: `another run of ${replid[0]}` });
/** d was the replica of b, or of a, and has taken over from it with what it had got. */
const after = (former: string, formerEnd = 101): History => ({ replid: "d1", run: "run of d", offset: 105, former, formerEnd });
const heirOfB = {
  owners: { a: "0-8191", d: "8192-16383" },
  histories: { a: first("a1"), c: first("c1"), d: after("b1") },
};
const heirOfA = {
  owners: { d: "0-8191", b: "8192-16383" },
  histories: { b: first("b1"), c: first("c1"), d: after("a1") },
};

const moving = [{ slot: 7, from: "a", to: "b" }];
const remembered = (now: Custody, before: CustodyRecord | null = null, nowMs = 0): CustodyRecord =>
  judgeCustody(before, now, nowMs).next;
const doubted = (before: CustodyRecord | null, now: Custody, nowMs = 1_000): string =>
  judgeCustody(before, now, nowMs).doubtful.toString();

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
    [
      "who gets it was a replica meanwhile",
      { histories: { a: first("a1"), b: { ...first("b2"), former: "d1", formerEnd: 90 }, c: first("c1") } },
    ],
    ["who gets it starts anew", { histories: { a: first("a1"), b: restarted("b2"), c: first("c1") } }],
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

  // Mutations: `arrived` taken from the look that shows the end; `formerEnd` not compared; `to` stays with who failed.
  test("what has gone over is doubted until whoever takes over is known to have it", () => {
    const owners = { a: "0-6,8-8191", b: "7,8192-16383" };
    const begun = remembered(look({ moves: moving }));
    const ended = remembered(look({ owners }), begun, 5_000);
    expect(ended.moves).toEqual([{ slots: "7", from: "a", to: "b", endedAt: 5_000, arrived: null }]);
    expect(remembered(look({ owners }), remembered(look()), 5_000).moves).toEqual(ended.moves);
    const takenOver = (formerEnd: number): Custody =>
      look({
        owners: { a: "0-6,8-8191", d: "7,8192-16383" },
        histories: { ...heirOfB.histories, d: after("b1", formerEnd) },
      });
    expect(doubted(ended, takenOver(1_000))).toBe("7");

    const told = remembered(look({ owners }), ended, 7_000);
    expect(told.moves).toEqual([{ slots: "7", from: "a", to: "b", endedAt: 5_000, arrived: 100 }]);
    const later = { ...first("b1"), offset: 500 };
    expect(remembered(look({ owners, histories: { a: first("a1"), b: later } }), told, 9_000).moves).toEqual(told.moves);
    expect(doubted(told, takenOver(100))).toBe("7");
    expect(doubted(told, takenOver(101))).toBe("");
    expect(doubted(told, look({ ...heirOfA, owners: { d: "0-6,8-8191", b: "7,8192-16383" } }))).toBe("");
    expect(doubted(told, look({ owners, histories: { a: first("a1"), b: restarted("b2"), c: first("c1") } }))).toBe("7");

    const heir = judgeCustody(told, takenOver(101), 9_000).next;
    expect(heir.moves).toEqual([{ slots: "7", from: "a", to: "d", endedAt: 9_000, arrived: null }]);
    expect(judgeCustody(heir, takenOver(101), 11_000).next.moves[0]?.arrived).toBe(105);
  });

  test("it is not remembered for ever", () => {
    const owners = { a: "0-6,8-8191", b: "7,8192-16383" };
    const ended = remembered(look({ owners }), remembered(look({ moves: moving })), 5_000);
    expect(remembered(look({ owners }), ended, 64_999).moves).toHaveLength(1);
    expect(remembered(look({ owners }), ended, 65_000).moves).toEqual([]);
  });

  test("a node that has just joined may take slots; one that was promoted meanwhile may have lost some", () => {
    const toD = [{ slot: 7, from: "a", to: "d" }];
    const joined = { histories: { ...look().histories, d: first("d1") }, moves: toD };
    expect(doubted(remembered(look()), look(joined))).toBe("");
    const promoted = { ...joined, histories: { ...look().histories, d: after("e1") } };
    expect(doubted(remembered(look()), look(promoted))).toBe("7");
  });

  // Mutations: `isNew` without the node's own history, or without its former one: who has got all slots of another node counts as its successor.
  test.each<[string, string, Custody["histories"]]>([
    ["c, which was a replica meanwhile", "c", { c: { ...first("c2"), former: "d1", formerEnd: 90 } }],
    ["d, which has just joined, from a node that began another history", "d", { a: restarted("a2"), d: first("d1") }],
  ])("slots that all went unseen to %s, are doubted", (_, heir, histories) => {
    const owners = { [heir]: "0-8191", b: "8192-16383" };
    expect(doubted(remembered(look()), look({ owners, histories: { ...look().histories, ...histories } }))).toBe("0-8191");
  });

  // Mutations: `isRenamed` false, or without the run; `hasRetired` false, or without who is followed.
  describe("what happens to clusters every day is not doubted", () => {
    const owners = { a: "0-6,8-8191", b: "7,8192-16383" };

    test("a node gets its first replica, or drops its backlog: its history goes on under another name", () => {
      const renamed = { a: first("a1"), b: first("b2"), c: first("c1") };
      expect(doubted(remembered(look({ moves: moving })), look({ moves: moving, histories: renamed }))).toBe("");
      const ended = remembered(look({ owners }), remembered(look({ moves: moving })));
      expect(doubted(ended, look({ owners, histories: renamed }))).toBe("");
    });

    test("a node gives its last slot away, and follows who got it, or leaves", () => {
      const before = remembered(look({ owners: { a: "7", b: "0-6,8-16383" }, moves: moving }));
      const alone = { owners: { b: "0-16383" }, histories: { b: first("b1"), c: first("c1") } };
      expect(doubted(before, look({ ...alone, followed: { a: "b" } }))).toBe("");
      expect(doubted(before, look({ ...alone, nodeIds: ["b", "c"] }))).toBe("");
      expect(doubted(before, look({ ...alone, followed: { a: "c" } }))).toBe("7");
      expect(doubted(before, look(alone))).toBe("7");
      const replaced = { ...alone.histories, d: after("a1") };
      expect(doubted(before, look({ ...alone, histories: replaced, followed: { a: "b" } }))).toBe("7");
    });

    test("a node starts again and is then replaced while nobody looks", () => {
      const twice = look({ ...heirOfB, histories: { ...heirOfB.histories, d: after("b2") } });
      expect(doubted(remembered(look()), twice)).toBe("");
      expect(doubted(remembered(look({ moves: moving })), twice)).toBe("7");
    });

    test("a slot has gone on when the node between fails", () => {
      const onC = { a: "0-6,8-8191", b: "8192-16383", c: "7" };
      const moved = remembered(look({ owners }), remembered(look()), 1_000);
      const further = remembered(look({ owners: onC }), moved, 3_000);
      expect(further.moves).toMatchObject([{ slots: "7", from: "b", to: "c" }]);
      const told = remembered(look({ owners: onC }), further, 5_000);
      expect(doubted(told, look({ ...heirOfB, owners: { a: onC.a, c: "7", d: onC.b } }))).toBe("");
    });
  });

  test("the end of a move may be seen behind the history of who gave the slot: the next look tells", () => {
    const owners = { a: "0-6,8-8191", b: "7,8192-16383" };
    const ended = remembered(look({ owners }), remembered(look({ moves: moving })));
    const again = { a: restarted("a2"), b: first("b1"), c: first("c1") };
    expect(doubted(ended, look({ owners, histories: again }))).toBe("7");
    expect(doubted(remembered(look({ owners }), ended), look({ owners, histories: again }))).toBe("");
  });

  test("a node without slots that does not answer is neither doubted nor forgotten", () => {
    const toC = [{ slot: 7, from: "a", to: "c" }];
    const silent = look({ moves: toC, histories: { a: first("a1"), b: first("b1") } });
    const before = remembered(look({ moves: toC }));
    expect(doubted(before, silent)).toBe("");
    const still = remembered(silent, before);
    expect(doubted(still, look({ moves: toC }))).toBe("");
    expect(doubted(still, look({ moves: toC, histories: { ...silent.histories, c: restarted("c2") } }))).toBe("7");
    expect(doubted(still, look({ moves: toC, histories: { ...silent.histories, d: after("c1") } }))).toBe("7");
  });

  test("what is remembered does not depend on who tells first", () => {
    const moves = [
      { slot: 7, from: "a", to: "b" },
      { slot: 7, from: "d", to: "b" },
    ];
    expect(remembered(look({ moves }))).toEqual(remembered(look({ moves: moves.toReversed() })));
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
      { slots: "7,9", from: "a", to: "b", endedAt: null, arrived: null },
      { slots: "9000", from: "b", to: "c", endedAt: null, arrived: null },
    ]);
  });
});
