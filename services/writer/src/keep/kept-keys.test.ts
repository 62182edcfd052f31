import * as fc from "fast-check";
import { expect, test } from "vitest";
import { KeptKeys } from "./kept-keys.ts";

const place = fc.record({ db: fc.integer({ min: 0, max: 3 }), key: fc.uint8Array({ maxLength: 12 }) });
const textOf = ({ db, key }: { db: number; key: Uint8Array }): string => `${db}:${Buffer.from(key).toString("hex")}`;

// Mutations seen to fail it, both in kept-keys.ts: `sieveBit` in `has` without `start`; `add` without the bit.
test("knows the keys that were added, each in its database, wherever they stand in a buffer, and no others", () => {
  fc.assert(
    fc.property(fc.array(place, { maxLength: 40 }), fc.array(place, { maxLength: 40 }), (added, asked) => {
      const kept = new KeptKeys("l");
      for (const { db, key } of added) kept.add(db, Buffer.from(key));
      const expected = new Set(added.map(textOf));
      expect(kept.size).toBe(expected.size);
      for (const one of [...added, ...asked]) {
        const around = Buffer.concat([Buffer.from("xy"), one.key, Buffer.from("z")]);
        expect(kept.has(one.db, around, 2, 2 + one.key.length)).toBe(expected.has(textOf(one)));
        expect(kept.has(one.db, one.key)).toBe(expected.has(textOf(one)));
      }
      expect(kept.isIn(0)).toBe(added.length > 0);
      for (const db of [1, 2, 3]) expect(kept.isIn(db)).toBe(added.some((one) => one.db === db));
      expect(kept.isIn(null)).toBe(added.length > 0);
    }),
  );
});

// Mutation seen to fail it: kept-keys.ts, `add` without the limit.
test.each([
  [{ names: 2, bytes: 100 }, ["a", "b"], "c"],
  [{ names: 100, bytes: 5 }, ["aa", "bbb"], "c"],
])("halts at a key too many, and counts one that comes twice once: %j", (limits, few, last) => {
  const kept = new KeptKeys("main.s0.0", limits);
  for (const key of [...few, ...few]) kept.add(0, Buffer.from(key));
  expect(() => kept.add(0, Buffer.from(last))).toThrow(/lane main\.s0\.0 would have to keep more than/);
});
