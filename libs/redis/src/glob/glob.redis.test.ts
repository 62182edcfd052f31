import * as fc from "fast-check";
import { expect, test } from "vitest";
import { spawnRedis } from "../../../../tools/spawn-redis.ts";
import { Connection } from "../connection/index.ts";
import { Glob } from "./glob.ts";

/** Keys of any bytes; ranges of ASCII only, since a server's `char` may be signed. */
const byte = fc.oneof(fc.constantFrom(..."ab-^[]\\*?".split("")), fc.constantFrom("0", "9", "\u00ff"));
const piece = fc.oneof(
  byte,
  fc.constantFrom(
    "*",
    "**",
    "?",
    "[",
    "]",
    "[^",
    "[]",
    "[^]",
    "\\",
    "[a-9]",
    "[9-a]",
    "[^0-b]",
    "[\\]a]",
    "[a-",
    "[\\a-b]",
    "[-a]",
  ),
);
const pattern = fc.array(piece, { minLength: 1, maxLength: 8 }).map((pieces) => Buffer.from(pieces.join(""), "latin1"));
const key = fc.array(byte, { maxLength: 6 }).map((bytes) => Buffer.from(bytes.join(""), "latin1"));
const isOfAscii = (bytes: Buffer): boolean => !/[[][^\]]*\u00ff/.test(bytes.toString("latin1"));

// Mutations seen to fail it: glob.ts, `readClass` without the escape; without exchanging the ends of a range; `#isAll` always false.
test("matches the keys that KEYS lists, for random patterns over random binary keys", async () => {
  await using redis = await spawnRedis([]);
  const connection = await Connection.open(redis);
  const keys = fc.uniqueArray(key, { minLength: 40, maxLength: 40, selector: (bytes) => bytes.toString("latin1") });
  await fc.assert(
    fc.asyncProperty(keys, fc.array(pattern.filter(isOfAscii), { minLength: 30, maxLength: 30 }), async (held, patterns) => {
      await Promise.all([connection.call(["FLUSHALL"]), connection.call(["MSET", ...held.flatMap((name) => [name, "v"])])]);
      const replies = await Promise.all(patterns.map(async (bytes) => connection.call(["KEYS", bytes])));
      for (const [index, reply] of replies.entries()) {
        const glob = new Glob(patterns[index] as Buffer);
        const listed = (reply as Buffer[]).map((name) => name.toString("latin1")).toSorted();
        const matched = held
          .filter((name) => glob.matches(name))
          .map((name) => name.toString("latin1"))
          .toSorted();
        expect(matched, `pattern ${JSON.stringify(patterns[index]?.toString("latin1"))}`).toEqual(listed);
      }
    }),
    { numRuns: 60 },
  );
  connection.close();
});
