import { silentLog } from "@sluice/runtime";
import { RedisCluster, waitUntil } from "@sluice/testkit";
import { ChangeFlag, parseMark } from "@sluice/wire";
import { expect, test } from "vitest";
import { ReplyTamperer } from "../apply/reply-tamperer.sample.ts";
import { placeOf } from "../repair/commands-of.ts";
import { KeyRepair } from "../repair/key-repair.ts";
import { WatchedLane } from "../watched-lane.sample.ts";
import { Projection } from "./projection.ts";
import { LaneServers } from "../lane-servers.sample.ts";

const servers = LaneServers.forThisFile();

/** Database 3, as 0, and of it the keys that begin with an a; UNLINK is left out. */
const projection =
  Projection.of(
    { databases: [3] },
    { databases: { "3": 0 }, keys: { include: ["a*"], exclude: [] }, commands: { exclude: ["UNLINK"] } },
  ) ?? undefined;

/** A unit in database 3. */
const unit = (end: number, ...commands: readonly string[]) => ({ end, commands, db: 3 });

async function open(fill: Readonly<Record<string, string>>): Promise<WatchedLane> {
  const lane = await WatchedLane.open(servers.bus, async (own) => {
    await own.fence(1, 1, 100);
    await own.copied(0, fill);
    await own.copyEnds(Object.keys(fill).length);
  });
  lane.projection = projection;
  return lane;
}

// Mutations seen to fail it: lane-report.ts, `begin` without `filteredCommands`; judge-span.ts, `projection` not applied (DST-004 over keys that never came); live-phase.ts, `#wantedOf`
// gives the slice as it is; snapshot-phase.ts, `place` not asked; snapshot-phase.ts, `#held` takes a key before `place`.
test("applied-once: a lane with a filter and a map goes on behind a writer that was lost, and sweeps by what it gets", async () => {
  await using tamperer = await ReplyTamperer.start(servers.redis.port);
  await using lane = await open({ "3:a1": "10", "3:b1": "20", "0:a2": "30", "3:a3": "40" });
  const mark = async () => parseMark((await servers.redis.client().get(lane.markKey)) ?? "").offset;
  lane.write("standalone", tamperer.port);
  await waitUntil("the copy is there", async () => lane.isAt(100));
  expect(await servers.held()).toEqual(["a1=10", "a3=40"]);
  await lane.changes(100, unit(110, "INCR a1"), unit(120, "INCR b1"), { end: 130, commands: ["INCR a2"] });
  await waitUntil("they are applied", async () => lane.isAt(130));
  // What is not the group's says nothing about how its units went.
  await servers.redis.client().multi().select(3).rpush("b2", "another's").select(0).exec();
  tamperer.tamper = ({ args }) => (args[0] === "EXEC" ? { drop: true } : null);
  await lane.changes(
    130,
    unit(140, "INCR b2", "INCR a1", "DEL b1 a3"),
    unit(150, "INCR a1", "UNLINK a1"),
    unit(160, "INCR b1"),
  );
  await waitUntil("they are in the destination, and nobody knows", async () => (await mark()) === 160);
  await lane.stop();
  tamperer.tamper = () => null;
  lane.write("standalone", tamperer.port);
  await lane.changes(160, unit(170, "INCR b1"));
  await lane.changes(170, { ...unit(175, "SWAPDB 8 9"), flags: ChangeFlag.barrier }, unit(180, "MOVE a1 7", "MSET b2 1 a1 50"));
  await waitUntil("it goes on", async () => lane.isAt(180));
  expect(await servers.held()).toEqual(["a1=50"]);
  await servers.redis.client().mset("b1", "stray", "a4", "stray");
  await lane.fence(2, 2, 200);
  await lane.copied(0, { "3:a1": "60", "3:b1": "20", "0:a4": "30" });
  await lane.copyEnds(3);
  await waitUntil("it is copied anew", async () => lane.isAt(200));
  expect(await servers.held()).toEqual(["a1=60"]);
  await lane.changes(200, unit(210, "INCR a1"), unit(220, "RENAME b1 a1"));
  await lane.ended();
  expect((await lane.record())?.filteredCommands).toBe(1);
  expect((await lane.record())?.halt).toMatchObject({
    code: "PIP-015",
    message: expect.stringMatching(/main\.s0\.0 .*RENAME.* offset 220: 1 of its 2 keys/) as string,
  });
});

// Mutations seen to fail it: live-phase.ts and snapshot-phase.ts as above; projection.ts, `keep` with the source's database (DST-010).
test("a database of a standalone source goes to a cluster; what remains of a unit may be on one slot", async () => {
  await using cluster = await RedisCluster.start({ primaries: 2 });
  const nodes = await cluster.primaries();
  const value = async (key: string) => {
    const values = await Promise.all(
      nodes.map(async (node) =>
        node
          .client()
          .get(key)
          .catch(() => null),
      ),
    );
    return values.find((found) => found !== null) ?? null;
  };
  await using lane = await open({ "3:a1": "10", "3:a2": "20", "3:b1": "30", "0:a3": "40" });
  const port = nodes[0]?.port ?? 0;
  lane.write("cluster", port);
  await waitUntil("the copy is there", async () => lane.isAt(100));
  expect(await Promise.all(["a1", "a2", "b1", "a3"].map(value))).toEqual(["10", "20", null, null]);
  await lane.changes(
    100,
    unit(110, "INCR b1", "INCR a1", "INCR b2"),
    { end: 120, commands: ["FLUSHDB"], flags: ChangeFlag.barrier },
    unit(130, "MSET a2 5 b1 6 a4 7"),
  );
  await waitUntil("they are applied", async () => lane.isAt(130));
  await lane.stop();
  lane.write("cluster", port);
  await lane.changes(130, unit(140, "DEL a2 b1 b2"), unit(150, "INCR a4"), unit(160, "INCR b1"));
  await waitUntil("it goes on", async () => lane.isAt(160));
  expect(await Promise.all(["a1", "a2", "a4", "b1"].map(value))).toEqual(["11", null, "8", null]);
});

// Mutation seen to fail it: key-repair.ts, `read` asks for the places as they are.
test("a repair reads a key where the source has it, and refuses one that may come from several databases", async () => {
  const client = servers.redis.client();
  await client.select(3);
  await client.set("k", "v");
  const replid = /master_replid:(\w+)/.exec(await client.info("replication"))?.[1] ?? "";
  await client.select(0);
  const repair = new KeyRepair({
    policy: "repair",
    shard: "s0",
    source: async () => ({ host: "127.0.0.1", port: servers.redis.port }),
    history: async () => ({ epoch: 1, replid, storedOffset: 0 }),
    isLifted: false,
    isBySlot: false,
    databaseAt: (db) => (db === 7 ? 3 : null),
    differing: () => undefined,
    log: silentLog(),
    signal: new AbortController().signal,
    count: () => undefined,
  });
  const key = Buffer.from("k");
  const read = async (db: number) => {
    for await (const { images } of repair.read(new Set([placeOf(db, key)]), 1, 0)) return images;
    return [];
  };
  expect(await read(7)).toMatchObject([{ place: "7:k", value: { value: expect.any(Buffer) as Buffer } }]);
  await expect(read(0)).rejects.toMatchObject({ code: "DST-014" });
});
