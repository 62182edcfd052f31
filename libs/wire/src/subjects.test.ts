import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { recordFilter, recordKey } from "./records.ts";
import {
  groupLaneLabel,
  laneLabel,
  liveSubject,
  NAME,
  parseGroupLaneLabel,
  snapSubject,
  streamName,
  streamSubjects,
} from "./subjects.ts";

const name = fc.stringMatching(/^[a-z0-9-]{1,32}$/);

/** As NATS matches a subject. */
function matches(filter: string, subject: string): boolean {
  const wanted = filter.split(".");
  const tokens = subject.split(".");
  if (wanted.at(-1) === ">")
    return tokens.length >= wanted.length && wanted.slice(0, -1).every((part, at) => part === "*" || part === tokens[at]);
  return wanted.length === tokens.length && wanted.every((part, at) => part === "*" || part === tokens[at]);
}

test("the subjects and names on the bus are pinned", () => {
  expect([
    streamName("shop"),
    streamSubjects("shop"),
    liveSubject("shop", "s0", 3),
    snapSubject("shop", 2, "s0", 3),
    laneLabel("s0", 3),
    groupLaneLabel("main", "s0", 3),
    recordKey.shard("shop", "s0"),
    recordKey.lane("shop", "main.s0.3"),
    recordKey.member("writer", "w1"),
    recordKey.lease("router"),
  ]).toEqual([
    "SLUICE_shop",
    "sluice.shop.>",
    "sluice.shop.live.s0.3",
    "sluice.shop.snap.2.s0.3",
    "s0.3",
    "main.s0.3",
    "pipeline.shop.shard.s0",
    "pipeline.shop.lane.main.s0.3",
    "member.writer.w1",
    "lease.router",
  ]);
});

describe("names", () => {
  test.each(["", "A", "a.b", "a b", "a*", ">", "ä", "a\n", "a".repeat(33), "a_b"])("%j is none", (text) => {
    expect(NAME.test(text)).toBe(false);
  });
});

describe("labels of lanes", () => {
  test("are read as they were written", () => {
    fc.assert(
      fc.property(name, fc.nat(999_999), fc.nat(99_999), (group, shard, lane) => {
        expect(parseGroupLaneLabel(groupLaneLabel(group, `s${shard}`, lane))).toEqual({ group, shard: `s${shard}`, lane });
      }),
    );
  });

  test.each([
    "",
    "main",
    "main.s0",
    "main.s0.x",
    "main.0.1",
    "Main.s0.1",
    "main.s0.1.2",
    "main.s0.-1",
    "main.s0.1\n",
    "m\nain.s0.1",
  ])("%j is none", (text) => {
    expect(() => parseGroupLaneLabel(text)).toThrow(`not a lane label: ${JSON.stringify(text)}; expected group.shard.lane`);
  });
});

test("a stream takes the subjects of its own pipeline and no other's", () => {
  fc.assert(
    fc.property(name, name, (one, other) => {
      expect(matches(streamSubjects(one), liveSubject(other, "s0", 0))).toBe(one === other);
      expect(matches(streamSubjects(one), snapSubject(other, 1, "s0", 0))).toBe(one === other);
    }),
  );
});

test("filters find their records and no others, whatever a pipeline is called", () => {
  fc.assert(
    fc.property(fc.oneof(name, fc.constantFrom("spec", "lane", "assignment")), (pipeline) => {
      expect(matches(recordFilter.specs, recordKey.spec(pipeline))).toBe(true);
      expect(matches(recordFilter.specs, recordKey.lane(pipeline, "spec.s0.0"))).toBe(false);
      expect(matches(recordFilter.assignments, recordKey.assignment(pipeline))).toBe(true);
      expect(matches(recordFilter.assignments, recordKey.state(pipeline))).toBe(false);
      expect(matches(recordFilter.ofPipeline(pipeline), recordKey.checkpoint(pipeline))).toBe(true);
      expect(matches(recordFilter.ofPipeline(pipeline), recordKey.state(`${pipeline}x`))).toBe(false);
      expect(matches(recordFilter.members, recordKey.member("writer", "i"))).toBe(true);
      expect(matches(recordFilter.leases, recordKey.lease("writer.p.main.s0.0"))).toBe(true);
    }),
  );
});
