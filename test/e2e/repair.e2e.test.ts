import { RedisCluster, waitUntil } from "@sluice/testkit";
import type { Cluster, Redis } from "ioredis";
import { expect, test } from "vitest";
import { Run } from "./deployment.ts";
import { expectIdentical } from "./equality.ts";
import { EVEN_LAYOUT, OTHER_LAYOUT, Pair, type Side, type SideOptions } from "./pair.ts";

const KEYS = 8;
const standalone: SideOptions = { kind: "standalone" };
const mixes: readonly [name: string, source: SideOptions, destination: SideOptions][] = [
  ["standalone to cluster", standalone, { kind: "cluster", cluster: { layout: EVEN_LAYOUT } }],
  [
    "cluster to cluster",
    { kind: "cluster", cluster: { layout: OTHER_LAYOUT } },
    { kind: "cluster", cluster: { layout: EVEN_LAYOUT } },
  ],
];

const clientOf = (side: Side): Redis | Cluster => (side instanceof RedisCluster ? side.client() : side.client());

/** Counters and lists that are written all the time, one unit of both now and then. */
function writeAlways(source: Redis | Cluster) {
  let isOver = false;
  let rounds = 0;
  const done = (async () => {
    for (; !isOver; rounds++) {
      for (let key = 0; key < KEYS; key++) {
        const [list, number, copy] = [`{${key}}list`, `{${key}}n`, `{${key}}copy`];
        await Promise.all([source.rpush(list, rounds), source.incr(number)]);
        if (rounds % 5 === 0) await source.call("COPY", list, copy, "REPLACE");
        if (rounds % 7 === 0) await source.multi().rpush(list, `m${rounds}`).incr(number).exec();
      }
    }
  })();
  return {
    rounds: () => rounds,
    end: async () => {
      isOver = true;
      await done;
    },
  };
}

// Mutation: repair-book.ts, `covers` always false: commands that are in a repaired key are applied once more (lists differ).
test.each(mixes)(
  "case 51: applied-once: %s, keys planted by hand under load are taken from the source, through a kill -9 of the writer",
  async (_, source, destination) => {
    await using pair = await Pair.start(source, destination);
    await pair.preload(1_200, 51);
    const load = await pair.load(52, 200);
    await using run = await Run.start({ ...pair.pipeline("orders"), onDivergence: "repair", lanes: 4 });
    const before = await run.status.until("orders", "synchronizing", ({ state }) => state === "synchronizing");
    const writing = writeAlways(clientOf(pair.source));
    const target = clientOf(pair.destination);
    const plant = async (from: number): Promise<void> => {
      const last = `{${KEYS - 1}}n`;
      await waitUntil("the keys are there", async () => (await target.exists(last)) === 1);
      for (let key = from; key < KEYS; key += 2) {
        await target.set(`{${key}}list`, "planted");
        await target.set(`{${key}}n`, "planted");
      }
    };
    const repaired = (status: typeof before): number => status.lanes.reduce((sum, lane) => sum + lane.repairedKeys, 0);
    await plant(0);
    await run.status.until("orders", "keys were repaired", (status) => repaired(status) >= KEYS);
    await plant(1);
    await run.killAndWait("writer-1");
    const at = writing.rounds();
    await waitUntil("writing goes on", () => writing.rounds() > at + 2);
    await writing.end();
    await expectIdentical("orders", pair, run.status, load);
    const after = await run.status.get("orders");
    expect(after.shards.map(({ epoch }) => epoch)).toEqual(before.shards.map(({ epoch }) => epoch));
    expect(after.lanes.map(({ halt }) => halt).filter((halt) => halt !== null)).toEqual([]);
  },
);
