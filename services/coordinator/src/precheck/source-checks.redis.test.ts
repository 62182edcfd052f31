import { slotTag } from "@sluice/redis";
import { waitUntil } from "@sluice/testkit";
import { laneMarkKey } from "@sluice/wire";
import { afterAll, beforeAll, expect, test } from "vitest";
import { allowUser, asUser, at, CheckedPair, config, mark, type PairCase } from "./checked-pair.sample.ts";

let pair: CheckedPair;
beforeAll(async () => {
  pair = await CheckedPair.start();
});
afterAll(async () => pair[Symbol.asyncDispose]());

const nothing = async (): Promise<void> => undefined;

let isWriting = false;
let written = Promise.resolve();

/** Until `stopWriting`: the rate of a second ago is nothing that a server remembers. */
function keepWriting(): void {
  const client = pair.source.client();
  const write = async (): Promise<void> => {
    while (isWriting) await client.set("much", "x".repeat(10_000));
  };
  isWriting = true;
  written = write();
}

async function stopWriting(): Promise<void> {
  isWriting = false;
  await written;
}

/** As `keepWriting`; behind it the server itself has noticed: it samples its traffic ten times a second. */
async function writeMuch(): Promise<void> {
  const client = pair.source.client();
  keepWriting();
  await waitUntil(
    "the server counts what clients send",
    async () => Number(/instantaneous_input_kbps:([\d.]+)/.exec(await client.info("stats"))?.[1]) > 100,
  );
}

const attached = () => ({ subject: { mode: "changes" as const } });

const cases: readonly PairCase[] = [
  {
    // No replica was ever attached to it until here.
    id: "source-attachment",
    make: nothing,
    change: attached,
    level: "fail",
    code: "SRC-018",
    found: /repl_backlog_active:0/,
    fix: /attach any to it.*repl-backlog-ttl 0.*mode: full\+changes/,
  },
  {
    id: "source-backlog",
    make: async () => {
      await config(pair.source, "repl-backlog-size", "16384");
      await writeMuch();
    },
    undo: async () => {
      await stopWriting();
      await config(pair.source, "repl-backlog-size", "1mb");
    },
    level: "warn",
    found: /repl-backlog-size 16 KiB; at most .*\/s written: it lasts/,
    fix: /CONFIG SET repl-backlog-size \d+mb.* \d+mb would cover the whole retry window of 12 h/,
  },
  {
    id: "source-output-buffer",
    make: async () => {
      await config(pair.source, "client-output-buffer-limit", "replica 1 0 0", "replica-read-only", "no");
      await writeMuch();
      // A replica that never finds its primary: copy and changes come over one link.
      await pair.source.client().replicaof("127.0.0.1", 1);
    },
    undo: async () => {
      await stopWriting();
      await pair.source.client().replicaof("NO", "ONE");
      await config(pair.source, "client-output-buffer-limit", "replica 256mb 64mb 60", "replica-read-only", "yes");
    },
    level: "warn",
    code: "SRC-014",
    found: /client-output-buffer-limit replica 1 0 0/,
    fix: /CONFIG SET client-output-buffer-limit "replica 0 0 0"/,
  },
  {
    id: "source-reachable",
    make: nothing,
    change: () => ({ subject: { source: at({ port: 1 }) } }),
    level: "fail",
    code: "SRC-001",
    found: /127\.0\.0\.1:1.*refused/i,
    fix: /Check the address/,
  },
  {
    id: "source-credentials",
    make: nothing,
    change: () => ({ subject: { source: at(pair.source, { user: "nobody", password: "x" }) } }),
    level: "fail",
    code: "SRC-002",
    found: /WRONGPASS/,
    fix: /Set `user` and `password`/,
  },
  {
    id: "source-topology",
    make: () => pair.source.client().replicaof("127.0.0.1", 1),
    undo: () => pair.source.client().replicaof("NO", "ONE"),
    level: "fail",
    code: "PIP-006",
    found: /says role:slave/,
    fix: /Name the primary/,
  },
  {
    id: "source-is-destination",
    make: nothing,
    change: () => ({ destination: { endpoint: { host: "localhost", port: pair.source.port } } }),
    level: "fail",
    code: "PIP-007",
    found: /localhost:\d+ is the same server as the source 127\.0\.0\.1:\d+ \(equal run_id\)/,
    fix: /another server as the destination/,
  },
  {
    id: "source-is-destination",
    make: async () => {
      await pair.destination.replicate(pair.source);
      await pair.destination.waitForSync();
    },
    undo: () => pair.destination.client().replicaof("NO", "ONE"),
    level: "fail",
    code: "PIP-011",
    found: /equal master_replid/,
    fix: /another server as the destination/,
  },
  {
    id: "source-is-destination",
    make: () => pair.source.client().set(laneMarkKey(slotTag(0), "there", "main", "s0", 0), mark),
    undo: () => pair.source.client().flushall(),
    // Its address is another name of the destination's, so that only its run id tells.
    change: () => ({
      subject: { others: [{ name: "there", source: { host: "localhost", port: pair.destination.port }, destinations: [] }] },
    }),
    level: "fail",
    code: "PIP-011",
    found: /comes back through pipeline there/,
    fix: /stop the pipeline that leads back/,
  },
  {
    id: "source-backlog",
    make: async () => {
      // It has had a replica, so that it counts what it would send: two samples of that are taken.
      await config(pair.source, "repl-backlog-size", "16384");
      keepWriting();
    },
    undo: async () => {
      await stopWriting();
      await config(pair.source, "repl-backlog-size", "1mb");
    },
    level: "warn",
    found: /repl-backlog-size 16 KiB; [\d.]+ [KM]iB\/s written: it lasts/,
    fix: /CONFIG SET repl-backlog-size \d+mb/,
  },
  {
    id: "source-attachment",
    make: async () => {
      await config(pair.source, "repl-backlog-size", "16384");
      keepWriting();
    },
    undo: async () => {
      await stopWriting();
      await config(pair.source, "repl-backlog-size", "1mb");
    },
    change: attached,
    level: "warn",
    found: /a backlog of 16 KiB, which lasts .*SRC-019.*gives its backlog up when no replica was attached for 60 min/,
    fix: /CONFIG SET repl-backlog-size \d+mb.*CONFIG SET repl-backlog-ttl 0/,
  },
  {
    id: "source-psync-allowed",
    make: () => allowUser(pair.source, "~*", "+@all", "-psync"),
    change: () => ({ subject: { source: at(pair.source, asUser) } }),
    level: "fail",
    code: "SRC-002",
    found: /no permissions to run the 'psync' command/,
    fix: /\+psync \+replconf/,
  },
  {
    id: "source-psync-allowed",
    make: () => allowUser(pair.source, "~*", "+info", "+psync", "+replconf"),
    change: () => ({ subject: { source: at(pair.source, asUser) } }),
    level: "warn",
    found: /does not tell/,
    fix: /\+psync \+replconf/,
  },
  {
    id: "source-psync-allowed",
    make: () => Promise.resolve(),
    change: () => ({ subject: { commands: { psync: "SYNC-a1" } } }),
    level: "fail",
    code: "SRC-021",
    found: /does not know SYNC-a1: renamed there, or taken away/,
    fix: /`source\.commands`/,
  },
  {
    id: "source-databases",
    make: () => pair.source.client().set("a", "1"),
    change: () => ({ subject: { databases: [0, 7] } }),
    level: "warn",
    found: /nothing is in database 7/,
    fix: /INFO keyspace/,
  },
  {
    id: "source-diskless",
    make: () => config(pair.source, "repl-diskless-sync-delay", "120"),
    undo: () => config(pair.source, "repl-diskless-sync-delay", "0"),
    level: "warn",
    found: /repl-diskless-sync-delay 120/,
    fix: /CONFIG SET repl-diskless-sync-delay 5/,
  },
  {
    id: "source-repl-timeout",
    make: () => config(pair.source, "repl-timeout", "11"),
    undo: () => config(pair.source, "repl-timeout", "60"),
    level: "warn",
    found: /repl-timeout 11, repl-ping-replica-period 10/,
    fix: /CONFIG SET repl-timeout 60/,
  },
  {
    id: "source-min-replicas",
    make: () => config(pair.source, "min-replicas-to-write", "1"),
    undo: () => config(pair.source, "min-replicas-to-write", "0"),
    level: "warn",
    found: /min-replicas-to-write 1, and 0 replicas/,
    fix: /CONFIG SET min-replicas-to-write 2/,
  },
  {
    id: "source-wait",
    make: () => pair.source.client().wait(0, 1),
    undo: () => config(pair.source, "maxclients", "1000"),
    level: "warn",
    found: /WAIT was called \d+ times, and there are 0 replicas/,
    fix: /Give the source the replicas/,
  },
  {
    id: "source-sentinel",
    make: () => pair.source.client().subscribe("__sentinel__:hello"),
    level: "warn",
    found: /1 Sentinels watch/,
    fix: /url: sentinel:\/\//,
  },
  {
    id: "source-big-keys",
    make: async () => {
      await pair.source.client().flushall();
      await pair.source.client(3).setrange("big", 40 * 2 ** 20, "x");
    },
    undo: () => pair.source.client().flushall(),
    level: "warn",
    found: /a random sample of 200 of 1 keys: 200 of them are big, the largest a string of about [45]\d/,
    fix: /redis-cli --memkeys/,
  },
];

test.each(cases)("$id $level: $found", async (one) => {
  const { level, code, found, fix } = await pair.resultOf(one);
  expect({ level, code }).toEqual({ level: one.level, code: one.code ?? null });
  expect(found).toMatch(one.found);
  expect(fix).toMatch(one.fix);
});

// Mutation: source/output-buffer.ts, `copiesOverTwoLinks` false: a warning of what never waits there.
test("a primary from 6.2 on holds nothing back that is written during a copy, however small its output buffer is", async () => {
  await config(pair.source, "client-output-buffer-limit", "replica 1 0 0");
  await writeMuch();
  const { report } = await pair.check({ only: ["source-output-buffer"] });
  await stopWriting();
  await config(pair.source, "client-output-buffer-limit", "replica 256mb 64mb 60");
  expect(report.results).toMatchObject([{ level: "pass", found: expect.stringContaining("a link of its own") as string }]);
});

// Mutations: source/attachment.ts: the backlog taken for one that is not kept; source/output-buffer.ts, without `applies`.
test("changes alone: a source that keeps its backlog passes, and what is about copies is left out", async () => {
  await pair.source.client().config("RESETSTAT");
  await config(pair.source, "repl-backlog-ttl", "0");
  const { report } = await pair.check({ only: ["source-attachment", "source-output-buffer"] }, attached());
  expect(report.results.map(({ id, level }) => [id, level])).toEqual([["source-attachment", "pass"]]);
  expect((await pair.check({ only: ["source-attachment"] })).report.results).toEqual([]);
});
