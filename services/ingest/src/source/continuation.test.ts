import { describe, expect, test } from "vitest";
import type { ResumePoint } from "../lanes/resume-point.ts";
import { continuation } from "./continuation.ts";
import type { SourceFacts } from "./source-facts.ts";

const point: ResumePoint = { epoch: 1, replid: "old", offset: 500, db: 0, highest: 900 };
const source: SourceFacts = {
  version: 70_015,
  valkeyVersion: 0,
  role: "master",
  replicaOf: "",
  replid: "old",
  formerReplid: "0000",
  secondReplOffset: -1,
  backlog: { first: 1, last: 2_000 },
  backlogSizeBytes: 2_000,
  keys: 0,
  databases: [],
  isCluster: false,
};
const promoted: SourceFacts = { ...source, replid: "new", formerReplid: "old", secondReplOffset: 901 };
const kindOf = (change: Partial<SourceFacts>, of: SourceFacts = source): string =>
  continuation(point, { ...of, ...change }).kind;

describe("continuation", () => {
  test("the same history is asked for while the backlog holds what follows the lowest lane", () => {
    expect(kindOf({})).toBe("ask");
    expect(kindOf({ backlog: { first: 501, last: 900 } })).toBe("ask");
    expect(kindOf({ backlog: { first: 502, last: 900 } })).toBe("copy");
    expect(kindOf({ backlog: { first: 501, last: 500 } })).toBe("ask");
    expect(kindOf({ backlog: { first: 1, last: 499 } })).toBe("copy");
    expect(kindOf({ backlog: null })).toBe("copy");
  });

  test("a promoted replica is asked only where no lane is ahead of what it shares with its former primary", () => {
    expect(kindOf({}, promoted)).toBe("ask");
    expect(kindOf({ secondReplOffset: 900 }, promoted)).toBe("copy");
    // One lane ahead of it, one behind: PSYNC would continue the one behind.
    expect(kindOf({ secondReplOffset: 501 }, promoted)).toBe("copy");
    expect(kindOf({ backlog: { first: 502, last: 2_000 } }, promoted)).toBe("copy");
  });

  test("a history that is neither the source's own nor its former one is not asked for", () => {
    expect(kindOf({ replid: "new" })).toBe("copy");
    expect(kindOf({ formerReplid: "older" }, promoted)).toBe("copy");
  });

  test("a replica of the same history that is behind the lanes is waited for", () => {
    expect(kindOf({ role: "slave", backlog: { first: 1, last: 499 } })).toBe("wait");
    expect(kindOf({ role: "slave", backlog: { first: 1, last: 500 } })).toBe("ask");
  });

  test("a source before 4.0 is asked whatever it says", () => {
    expect(kindOf({ replid: "", formerReplid: "", backlog: null })).toBe("ask");
  });
});
