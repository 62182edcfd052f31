import * as fc from "fast-check";
import { expect, test } from "vitest";
import { spawnRedis } from "../../../tools/spawn-redis.ts";
import { Connection } from "./connection/index.ts";
import { keySlot, slotTag } from "./slot.ts";

const byte = fc.oneof(fc.constantFrom(123, 125), fc.integer({ min: 0, max: 255 }));
const key = fc.array(byte, { maxLength: 24 }).map((bytes) => Buffer.from(bytes));

test("slots are those of a cluster's CLUSTER KEYSLOT, for random binary keys with many braces", async () => {
  await using redis = await spawnRedis(["--cluster-enabled", "yes"]);
  const connection = await Connection.open(redis);
  await fc.assert(
    fc.asyncProperty(fc.array(key, { minLength: 100, maxLength: 200 }), async (keys) => {
      const slots = await Promise.all(keys.map(async (key) => connection.call(["CLUSTER", "KEYSLOT", key])));
      expect(keys.map((key) => keySlot(key))).toEqual(slots);
    }),
    { numRuns: 50 },
  );
  for (let slot = 0; slot < 16_384; slot += 331)
    expect(await connection.call(["CLUSTER", "KEYSLOT", `a{${slotTag(slot)}}b`])).toBe(slot);
  connection.close();
});
