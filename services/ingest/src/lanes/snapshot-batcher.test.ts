import { AccessKind, BatchKind, decodeBatch, SnapshotRows, type Batch, type SnapshotRow } from "@sluice/wire";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { BacklogBound } from "./backlog-bound.ts";
import { SnapshotBatcher } from "./snapshot-batcher.ts";

const HEAD = { shard: "s0", epoch: 3, term: 7, replid: "a".repeat(40) };

interface Entry {
  readonly key: number;
  readonly value: number;
  readonly pumps: number;
}

interface Found {
  readonly keyLength: number;
  readonly expireAtMs: number;
  readonly db: number;
  readonly bytes: Buffer;
}

function rowOf(index: number, keyLength: number, length: number): SnapshotRow {
  return {
    expireAtMs: index * 10 - 1,
    length,
    keyLength,
    access: index,
    slot: index,
    db: index % 16,
    type: index % 20,
    accessKind: AccessKind.frequency,
  };
}

/** Takes the entries out of the batches again and checks their chain. */
function read(batches: readonly Batch[]): Found[] {
  const found: Found[] = [];
  let open: Found | null = null;
  let previous = 0;
  let nextPart = 0;
  for (const { rows, body, part, previous: from, last, kind } of batches) {
    expect([from, part?.index ?? 0]).toEqual([previous, nextPart]);
    expect(kind).toBe(BatchKind.snapshot);
    const columns = rows as SnapshotRows;
    let at = 0;
    for (let row = 0; row < columns.count; row++) {
      const end = part === null ? at + (columns.lengths[row] as number) : body.length;
      const head = {
        keyLength: columns.keyLengths[row] as number,
        expireAtMs: columns.expires[row] as number,
        db: columns.dbs[row] as number,
      };
      const entry = { ...head, bytes: body.subarray(at, end) };
      if (part === null) found.push(entry);
      else open = entry;
      at = end;
    }
    if (part !== null) {
      expect([part.id, columns.count]).toEqual([previous, part.index === 0 ? 1 : 0]);
      if (part.index > 0 && open !== null) open = { ...open, bytes: Buffer.concat([open.bytes, body]) };
      expect(last).toBe(part.final ? previous + 1 : previous);
      if (part.final && open !== null) found.push(open);
      nextPart = part.final ? 0 : part.index + 1;
    } else expect(last).toBe(previous + columns.count);
    previous = last;
  }
  return found;
}

const entry = fc.record({
  key: fc.oneof({ weight: 9, arbitrary: fc.nat(40) }, { weight: 1, arbitrary: fc.nat(3000) }),
  value: fc.oneof({ weight: 5, arbitrary: fc.nat(200) }, { weight: 1, arbitrary: fc.nat(9000) }),
  pumps: fc.constantFrom(0, 0, 0, 1, 2),
});

test("keys and values of any size come out once, in order, in an unbroken chain of messages of bounded size, closed by their count", () => {
  fc.assert(
    fc.property(
      fc.array(entry, { maxLength: 40 }),
      fc.integer({ min: 100, max: 2500 }),
      fc.boolean(),
      (entries, bodyRoom, inPieces) => {
        const maxBytes = 256 + bodyRoom;
        const backlog = new BacklogBound();
        const batcher = new SnapshotBatcher(HEAD, 900, maxBytes, backlog);
        const batches: Batch[] = [];
        let isInFlight = false;
        const pump = (): boolean => {
          if (isInFlight) batcher.stored();
          const closed = isInFlight ? null : batcher.take();
          const moved = isInFlight || closed !== null;
          isInFlight = closed !== null;
          if (closed === null) return moved;
          expect([closed.from, closed.message.length <= maxBytes]).toEqual([900, true]);
          batches.push(decodeBatch(closed.message));
          return true;
        };
        const added = entries.map((sizes: Entry, index) => {
          const key = Buffer.alloc(sizes.key, index + 1);
          const value = Buffer.alloc(sizes.value, 255 - index);
          const row = rowOf(index, key.length, key.length + value.length);
          if (row.length <= batcher.longestEntryBytes) batcher.add(row, key, value);
          else {
            batcher.begin({ ...row, length: key.length }, key);
            pump();
            if (inPieces) for (let at = 0; at < value.length; at += 700) batcher.addPart(value.subarray(at, at + 700));
            else batcher.addPart(value);
            batcher.end();
          }
          for (let turn = 0; turn < sizes.pumps; turn++) pump();
          return { keyLength: key.length, expireAtMs: row.expireAtMs, db: row.db, bytes: Buffer.concat([key, value]) };
        });
        expect(batcher.keys).toBe(entries.length);
        batcher.finish();
        while (pump());
        const end = batches.pop();
        expect(end).toMatchObject({
          ...HEAD,
          kind: BatchKind.snapshotEnd,
          previous: entries.length,
          last: entries.length,
          rows: null,
        });
        // As text: comparing buffers byte by byte takes seconds.
        const asText = (found: Found): object => ({ ...found, bytes: found.bytes.toString("latin1") });
        expect(read(batches).map(asText)).toEqual(added.map(asText));
        expect([batcher.isEmpty, backlog.bytes]).toEqual([true, 0]);
      },
    ),
    { numRuns: 200 },
  );
});

test("an empty lane's copy is its end alone", () => {
  const batcher = new SnapshotBatcher(HEAD, 5, 4096, new BacklogBound());
  expect(batcher.take()).toBeNull();
  batcher.finish();
  const closed = batcher.take();
  expect(decodeBatch(closed?.message ?? Buffer.alloc(0))).toMatchObject({ kind: BatchKind.snapshotEnd, previous: 0, last: 0 });
  expect(batcher.isEmpty).toBe(false);
  batcher.stored();
  expect([batcher.take(), batcher.isEmpty]).toEqual([null, true]);
});
