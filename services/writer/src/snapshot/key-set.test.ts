import { expect, test } from "vitest";
import { KeySet } from "./key-set.ts";

test("converges: holds exactly what was added, by key and database, beyond several growths", () => {
  const held = new KeySet();
  const key = (n: number): Buffer => Buffer.from(`key:${n}`);
  for (let n = 0; n < 20_000; n++) held.add(n % 3, key(n));
  for (let n = 0; n < 20_000; n++) held.add(n % 3, key(n));
  expect(held.size).toBe(20_000);
  for (let n = 0; n < 20_000; n++) {
    expect(held.has(n % 3, key(n))).toBe(true);
    expect(held.has((n + 1) % 3, key(n))).toBe(false);
    expect(held.has(n % 3, key(n + 20_000))).toBe(false);
  }
});

test("an empty key and keys that differ in bytes beyond UTF-8 are told apart", () => {
  const held = new KeySet();
  held.add(0, Buffer.alloc(0));
  held.add(0, Buffer.from([0xff]));
  expect([
    held.has(0, Buffer.alloc(0)),
    held.has(0, Buffer.from([0xff])),
    held.has(0, Buffer.from([0xfe])),
    held.has(1, Buffer.alloc(0)),
    held.size,
  ]).toEqual([true, true, false, false, 2]);
});
