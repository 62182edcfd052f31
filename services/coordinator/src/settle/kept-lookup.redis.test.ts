import { keySlot, slotTag } from "@sluice/redis";
import { systemClock } from "@sluice/runtime";
import { RedisCluster, RedisServer } from "@sluice/testkit";
import { expiryWithGrace, keptKey, keptName, keptShareKey, keptShareOf, slotMarkKey } from "@sluice/wire";
import { expect, test } from "vitest";
import { KeptLookup } from "./kept-lookup.ts";
import { SettleServer } from "./settle-server.ts";

const GRACE_MS = 43_800_000;
const FAR_MS = 4_000_000_000_000;
const WITH_GRACE = expiryWithGrace(FAR_MS, GRACE_MS);
const MARK = "1|2|1|live|s0|100|9";
const STATE = keptKey(slotTag(0), "p", "main");
const { signal } = new AbortController();
const names = { pipeline: "p", group: "main", signal };

async function settle(port: number, isCluster: boolean, isWithoutNames = false): Promise<number> {
  const endpoint = { host: "127.0.0.1", port };
  const server = await SettleServer.open(endpoint, signal);
  let changed = 0;
  try {
    const kept = await KeptLookup.open(endpoint, { ...names, isCluster, slots: "0-16383", isWithoutNames });
    const rule = { step: "settle", graceMs: GRACE_MS, sparesThePast: true } as const;
    const onPage = (page: { changed: number }): void => {
      changed += page.changed;
    };
    await server.walk({ rule, kept, clock: systemClock, signal, onPage }).finally(() => kept.close());
  } finally {
    server.close();
  }
  return changed;
}

// Mutation: kept-lookup.ts, `requireNames` that does not count.
// Mutations seen to fail it: settle-server.ts, `walk` without `kept`; kept-lookup.ts, `written` with the names of database 0 for all.
test("one server: expiries of kept keys stay as they are, each in its database; without the names nothing is changed", async () => {
  await using server = await RedisServer.start();
  const shareOf = (key: string): string => keptShareKey(slotTag(0), "p", "main", keptShareOf(keySlot(Buffer.from(key))));
  for (const db of [0, 3]) {
    const client = server.client(db);
    for (const key of ["mine", "ours"]) await client.set(key, "v", "PXAT", WITH_GRACE);
  }
  await expect(settle(server.port, false)).rejects.toMatchObject({ code: "DST-025" });
  await server.client().set(STATE, "1|0|0|live|s0|1|1");
  await expect(settle(server.port, false)).rejects.toMatchObject({
    code: "DST-025",
    message: expect.stringContaining(`holds 0 of 1 names in ${STATE}.*`) as string,
  });
  await server.client().sadd(shareOf("mine"), keptName(3, Buffer.from("mine")));
  expect(await settle(server.port, false)).toBe(3);
  const at = async (db: number, key: string) => server.client(db).pexpiretime(key);
  expect([await at(3, "mine"), await at(3, "ours"), await at(0, "mine")]).toEqual([WITH_GRACE, FAR_MS, FAR_MS]);
});

// Mutation: kept-lookup.ts, `unclaimedSlots` that does not ask for the count.
// Mutation seen to fail it: kept-lookup.ts, `unclaimedSlots` is always empty.
test("cluster: neither kept keys nor slots that no copy has claimed are touched", async () => {
  await using cluster = await RedisCluster.start({ primaries: 1 });
  const [node] = await cluster.primaries();
  if (node === undefined) throw new Error("expected a node");
  const client = node.client();
  const [mine, ours, far] = [`{${slotTag(7)}}mine`, `{${slotTag(7)}}ours`, `{${slotTag(8)}}far`] as const;
  for (const key of [mine, ours, far]) await client.set(key, "v", "PXAT", WITH_GRACE);
  await client.set(slotMarkKey(slotTag(7), "p", "main"), MARK);
  await expect(settle(node.port, true)).rejects.toMatchObject({ code: "DST-025" });
  const key = keptKey(slotTag(7), "p", "main");
  await client.sadd(key, "=2", keptName(0, Buffer.from(mine)));
  await expect(settle(node.port, true)).rejects.toMatchObject({ code: "DST-025" });
  await client.sadd(key, keptName(0, Buffer.from("gone")));
  expect(await settle(node.port, true)).toBe(1);
  const found = await Promise.all([mine, ours, far].map(async (key) => client.pexpiretime(key)));
  expect(found).toEqual([WITH_GRACE, FAR_MS, WITH_GRACE]);
});

// Mutation: kept-lookup.ts, `isWithoutNames` settles whatever there is: names that are left keep nothing.
test("by force the names that are left count", async () => {
  await using server = await RedisServer.start();
  for (const key of ["mine", "lost"]) await server.client().set(key, "v", "PXAT", WITH_GRACE);
  const share = keptShareKey(slotTag(0), "p", "main", keptShareOf(keySlot(Buffer.from("mine"))));
  await server.client().sadd(share, keptName(0, Buffer.from("mine")));
  await expect(settle(server.port, false)).rejects.toMatchObject({ code: "DST-025" });
  expect(await settle(server.port, false, true)).toBe(1);
  expect(await server.client().pexpiretime("mine")).toBe(WITH_GRACE);
});
