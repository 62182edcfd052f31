import { slotTag } from "@sluice/redis";
import { systemClock, type Clock } from "@sluice/runtime";
import { laneMarkKey } from "@sluice/wire";
import { afterAll, beforeAll, expect, test } from "vitest";
import { allowUser, asUser, at, CheckedPair, config, mark, type PairCase } from "./checked-pair.sample.ts";

let pair: CheckedPair;
beforeAll(async () => {
  pair = await CheckedPair.start();
});
afterAll(async () => pair[Symbol.asyncDispose]());

const nothing = async (): Promise<void> => undefined;
const far: Clock = { ...systemClock, nowMs: () => Date.now() - 60_000 };

const cases: readonly PairCase[] = [
  {
    id: "destination-reachable",
    make: nothing,
    change: () => ({ destination: { endpoint: at({ port: 1 }) } }),
    level: "fail",
    code: "DST-001",
    found: /127\.0\.0\.1:1.*refused/i,
    fix: /Check the address/,
  },
  {
    id: "destination-credentials",
    make: () => allowUser(pair.destination, "~*", "+@all", "-info"),
    change: () => ({ destination: { endpoint: at(pair.destination, asUser) } }),
    level: "fail",
    code: "DST-002",
    found: /NOPERM.*'info'/,
    fix: /Set `user` and `password`/,
  },
  {
    id: "destination-topology",
    make: () => pair.destination.client().replicaof("127.0.0.1", 1),
    undo: () => pair.destination.client().replicaof("NO", "ONE"),
    level: "fail",
    code: "PIP-006",
    found: /says role:slave/,
    fix: /Name the primary/,
  },
  {
    id: "destination-mark",
    make: () => pair.destination.client().set(laneMarkKey(slotTag(0), "p", "main", "s3", 15), "garbage"),
    undo: () => pair.destination.client().flushall(),
    level: "fail",
    code: "DST-005",
    found: /not a mark of Sluice: "garbage"/,
    fix: /delete the key that the message names/,
  },
  {
    id: "destination-empty",
    make: () => pair.destination.client(3).mset("a", "1", "b", "2"),
    level: "fail",
    code: "DST-009",
    found: /holds 2 keys in database 3/,
    fix: /Empty the destination/,
  },
  {
    id: "destination-empty",
    make: nothing,
    change: () => ({ destination: { existing: "replace" } }),
    undo: () => pair.destination.client().flushall(),
    level: "warn",
    found: /will be deleted/,
    fix: /existing: overwrite/,
  },
  {
    id: "destination-filters",
    make: () => pair.source.client().rename("none", "other").catch(nothing),
    change: () => ({ destination: { isFiltered: true } }),
    level: "warn",
    found: /use RENAME \d/,
    fix: /the same side of `keys`/,
  },
  {
    id: "destination-excluded-commands",
    make: nothing,
    change: () => ({ destination: { excluded: ["DEL"] } }),
    level: "warn",
    found: /DEL will be left out of changes, and not of copies/,
    fix: /Waive this/,
  },
  {
    id: "destination-empty",
    make: async () => {
      await pair.destination.client(3).mset("a", "1", "b", "2");
      await pair.source.client(1).mset("a", "1", "c", "3");
    },
    change: () => ({ destination: { existing: "keep", databases: { 1: 3 } } }),
    undo: async () => {
      await pair.source.client().flushall();
      await pair.destination.client().flushall();
    },
    level: "warn",
    found: /holds 2 keys in database 3, which are kept; the source has 1 of a sample of 2 of these names, too/,
    fix: /existing: overwrite/,
  },
  {
    id: "destination-empty",
    make: async () => {
      await pair.destination.client().mset("a", "1", laneMarkKey(slotTag(0), "p", "main", "s0", 0), mark);
    },
    change: () => ({ destination: { existing: "keep" } }),
    undo: () => pair.destination.client().flushall(),
    level: "fail",
    code: "DST-022",
    found: /holds this pipeline's marks, and not sluice:\{\w+\}:p:main:kept/,
    fix: /Delete this pipeline's own keys/,
  },
  {
    id: "destination-other-pipeline",
    make: () => pair.destination.client().set(laneMarkKey(slotTag(0), "other", "main", "s0", 0), mark),
    level: "warn",
    found: /pipeline other writes there/,
    fix: /copy different keys/,
  },
  {
    id: "destination-other-pipeline",
    make: nothing,
    undo: () => pair.destination.client().flushall(),
    change: () => ({ destination: { existing: "replace" } }),
    level: "fail",
    code: "DST-017",
    found: /would delete its keys/,
    fix: /another destination/,
  },
  {
    // Mutation: own-marks.ts, `groupsMarking` of what a bounded look through the keys finds alone: the group that is far behind is not seen.
    id: "destination-former-group",
    make: async () => {
      const client = pair.destination.client();
      await client.call("DEBUG", "POPULATE", "50000");
      await client.set(laneMarkKey(slotTag(0), "p", "old", "s0", 3), mark);
    },
    undo: () => pair.destination.client().flushall(),
    change: () => ({ destination: { existing: "overwrite" }, subject: { knownGroups: ["main", "old"] } }),
    level: "fail",
    code: "DST-024",
    found: /group old of this pipeline wrote there, or does: there are keys sluice:\{…\}:p:old$/,
    fix: /delete its keys there/,
  },
  {
    id: "destination-databases",
    make: () => pair.source.client(9).set("a", "1"),
    undo: () => pair.source.client().flushall(),
    level: "fail",
    code: "DST-018",
    found: /has 4 databases, 0 to 3, and database 9 would be written/,
    fix: /give them other numbers/,
  },
  {
    id: "destination-commands",
    make: () => allowUser(pair.destination, "~*", "+@all", "-zadd", "-exec"),
    change: () => ({ destination: { endpoint: at(pair.destination, asUser) } }),
    level: "fail",
    code: "DST-002",
    found: /not allowed: EXEC, ZADD\./,
    fix: /ACL SETUSER/,
  },
  {
    id: "destination-commands",
    make: () => allowUser(pair.destination, "~*", "+@all", "-acl", "-zadd", "-exec"),
    change: () => ({ destination: { endpoint: at(pair.destination, asUser) } }),
    level: "fail",
    code: "DST-002",
    found: /not allowed: EXEC, ZADD\./,
    fix: /ACL SETUSER/,
  },
  {
    id: "destination-scripts",
    make: () => allowUser(pair.destination, "~*", "+@all", "-evalsha"),
    change: () => ({ destination: { endpoint: at(pair.destination, asUser) } }),
    level: "warn",
    code: "DST-002",
    found: /'evalsha'/,
    fix: /\+eval \+evalsha/,
  },
  {
    id: "destination-writable",
    make: () => config(pair.destination, "min-replicas-to-write", "1"),
    undo: () => config(pair.destination, "min-replicas-to-write", "0"),
    level: "fail",
    code: "DST-003",
    found: /min-replicas-to-write is 1, and 0 replicas are good/,
    fix: /CONFIG SET min-replicas-to-write 0/,
  },
  {
    id: "destination-memory",
    make: async () => {
      await pair.source.client().setrange("big", 20 * 2 ** 20, "x");
      await config(pair.destination, "maxmemory", "10mb");
    },
    undo: async () => {
      await pair.source.client().flushall();
      await config(pair.destination, "maxmemory", "0");
    },
    level: "fail",
    code: "DST-016",
    found: /will come, and .* are in use of maxmemory 10 MiB/,
    fix: /Raise `maxmemory`/,
  },
  {
    id: "destination-evictions",
    make: () => config(pair.destination, "maxmemory", "100mb", "maxmemory-policy", "allkeys-lru"),
    undo: () => config(pair.destination, "maxmemory", "0", "maxmemory-policy", "noeviction"),
    level: "warn",
    found: /maxmemory-policy allkeys-lru, maxmemory 100 MiB/,
    fix: /CONFIG SET maxmemory-policy noeviction/,
  },
  {
    id: "destination-persistence",
    make: () => config(pair.destination, "appendonly", "no"),
    undo: () => config(pair.destination, "appendonly", "yes"),
    level: "warn",
    found: /AOF off, no snapshots, 0 replicas: a restart loses everything/,
    fix: /CONFIG SET appendonly yes/,
  },
  {
    id: "destination-bulk-length",
    make: () => config(pair.destination, "proto-max-bulk-len", "1mb"),
    undo: () => config(pair.destination, "proto-max-bulk-len", "512mb"),
    level: "warn",
    found: /proto-max-bulk-len 1 MiB \(source 512 MiB\)/,
    fix: /CONFIG SET proto-max-bulk-len 536870912/,
  },
  {
    id: "destination-clock",
    make: nothing,
    change: () => ({ clock: far }),
    level: "warn",
    found: /60 s ahead of Sluice/,
    fix: /NTP/,
  },
];

test.each(cases)("$id $level: $found", async (one) => {
  const { level, code, found, fix } = await pair.resultOf(one);
  expect({ level, code }).toEqual({ level: one.level, code: one.code ?? null });
  expect(found).toMatch(one.found);
  expect(fix).toMatch(one.fix);
});
