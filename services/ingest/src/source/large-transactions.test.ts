import { decodeBatch, type Part } from "@sluice/wire";
import { expect, test } from "vitest";
import { setUp, stream } from "./change-reader.sample.ts";

const COMMANDS = 100_000;
/** What a socket hands on at a time. */
const CHUNK_BYTES = 64 * 1024;

// Mutations seen to fail it, in change-batcher.ts: `#closePart` with another `last` than `previous`; `take` gives nothing while a unit is open.
test("unit-never-split: a transaction of 100 000 commands leaves in parts while it is read, and what is held does not grow with it", () => {
  const { reader, batchers } = setUp();
  const [batcher] = batchers;
  const inside = Array.from({ length: COMMANDS }, (_, n) => (n % 1000 === 500 ? `SELECT ${(n / 500) % 3}` : `SET k${n} ${n}`));
  const bytes = stream("SET before 1", "MULTI", ...inside, "EXEC", "SET behind 1");
  const parts: (Part | null)[] = [];
  let rows = 0;
  let most = 0;
  const drain = (): void => {
    let held = 0;
    for (let closed = batcher?.take(); closed !== null && closed !== undefined; closed = batcher?.take()) {
      batcher?.stored();
      held += closed.message.length;
      const { part, previous, last, rows: some } = decodeBatch(closed.message);
      if (part !== null) {
        parts.push(part);
        rows += some?.count ?? 0;
        if (!part.final) expect(last).toBe(previous);
      }
    }
    most = Math.max(most, held);
  };
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    reader.push(bytes.subarray(at, at + CHUNK_BYTES));
    if (reader.isInTransaction) expect(reader.boundary).toBeLessThanOrEqual(stream("SET before 1").length);
    drain();
  }
  expect([reader.boundary, reader.db, rows]).toEqual([bytes.length, 1, COMMANDS - COMMANDS / 1000]);
  expect(parts.map((part) => part?.index)).toEqual([...parts.keys()]);
  expect(parts.map((part) => part?.final)).toEqual([...parts.slice(1).map(() => false), true]);
  expect(parts.length).toBeGreaterThan(50);
  expect(most).toBeLessThan(6 * CHUNK_BYTES);
});
