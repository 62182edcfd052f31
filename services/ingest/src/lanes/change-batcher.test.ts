import { BatchKind, ChangeFlag, ChangeRows, decodeBatch, type Batch } from "@sluice/wire";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { BacklogBound } from "./backlog-bound.ts";
import { ChangeBatcher } from "./change-batcher.ts";
import { storedOffset } from "./stored-offset.ts";

const HEAD = { shard: "s0", epoch: 3, term: 7, replid: "a".repeat(40) };
const LONG_SPAN = 2 ** 31;

interface Command {
  readonly size: number;
  readonly db: number;
  readonly flags: number;
  /** How often the publisher comes by behind this command. */
  readonly pumps: number;
}

interface Unit {
  /** Bytes of the stream between the unit before and this one. */
  readonly gap: number;
  readonly commands: readonly Command[];
  readonly beatsBehind: boolean;
}

interface Row {
  readonly length: number;
  readonly argc: number;
  readonly slot: number;
  readonly db: number;
  readonly flags: number;
  readonly header: number;
}

interface Sent {
  readonly from: number;
  readonly end: number;
  readonly rows: Row[];
}

/** Feeds a batcher as ingest does, plays its publisher, and keeps what went in and what came out. */
class Lane {
  readonly batcher: ChangeBatcher;
  readonly batches: Batch[] = [];
  readonly sizes: number[] = [];
  readonly units: Sent[] = [];
  readonly bytes: Buffer[] = [];
  readonly backlog = new BacklogBound();
  #at: number;
  #boundary: number;
  #inFlight: Batch | null = null;
  #storedLast: number;
  #acknowledged: number;
  #count = 0;

  constructor(start: number, maxBytes: number) {
    this.batcher = new ChangeBatcher(HEAD, start, 0, maxBytes, this.backlog);
    this.#at = start;
    this.#boundary = start;
    this.#storedLast = start;
    this.#acknowledged = start;
  }

  add({ gap, commands, beatsBehind }: Unit): void {
    const from = this.#at + gap;
    const rows: Row[] = [];
    this.batcher.beginUnit(from);
    this.#check(from);
    let end = from + 20;
    for (const [index, { size, db, flags, pumps }] of commands.entries()) {
      const buffer = Buffer.alloc(size + 6, ++this.#count & 0xff);
      const row = { length: size, argc: (this.#count % 9) + 1, slot: this.#count % 16_384, db, header: 4 };
      this.batcher.add({ buffer, start: 3, end: size + 3, argc: row.argc, headerLength: row.header }, row.slot, db, flags);
      this.bytes.push(buffer.subarray(3, size + 3));
      rows.push({ ...row, flags: index === 0 ? flags | ChangeFlag.first : flags });
      end += size;
      for (let pump = 0; pump < pumps; pump++) this.pump(from);
    }
    this.batcher.endUnit(end, 5);
    this.units.push({ from, end, rows });
    this.#at = end;
    this.#boundary = end;
    this.#check(null);
    if (beatsBehind && this.batcher.isEmpty) {
      this.#at += 100;
      this.#boundary = this.#at;
      this.batcher.heartbeat(this.#at, 2);
      this.#check(null);
    }
  }

  /** The publisher comes by: what is under way is stored, or the next batch is taken. */
  pump(openFrom: number | null = null): boolean {
    if (this.#inFlight !== null) {
      this.batcher.stored();
      this.#storedLast = this.#inFlight.last;
      this.#inFlight = null;
      this.#check(openFrom);
      return true;
    }
    const closed = this.batcher.take();
    if (closed === null) return false;
    this.#inFlight = decodeBatch(closed.message);
    this.batches.push(this.#inFlight);
    this.sizes.push(closed.message.length);
    this.#check(openFrom);
    return true;
  }

  drain(): void {
    while (this.pump());
  }

  /** `stored-before-ack`: what may be acknowledged is stored, and is never taken back. */
  #check(openFrom: number | null): void {
    const unstored = this.units.find(({ end }) => end > this.#storedLast)?.from ?? openFrom ?? Infinity;
    const acknowledged = storedOffset([this.batcher], this.#boundary);
    if (acknowledged > unstored) throw new Error(`${acknowledged} is acknowledged, ${unstored} is not stored`);
    const least = Math.max(this.#acknowledged, Math.min(this.#storedLast, this.#boundary));
    if (acknowledged < least) throw new Error(`${acknowledged} is acknowledged where ${least} was, or is stored`);
    this.#acknowledged = acknowledged;
  }
}

/** Checks the chain and takes the units out of the batches again. */
function read(batches: readonly Batch[], start: number): { units: Omit<Sent, "from">[]; bytes: Buffer } {
  const units: Omit<Sent, "from">[] = [];
  let rows: Row[] = [];
  let previous = start;
  let nextPart = 0;
  for (const batch of batches) {
    expect(batch).toMatchObject({ ...HEAD, previous });
    expect(batch.part?.index ?? 0).toBe(nextPart);
    if (batch.kind === BatchKind.heartbeat) {
      expect([batch.rows, batch.body.length, batch.part]).toEqual([null, 0, null]);
    } else {
      const columns = batch.rows as ChangeRows;
      for (let row = 0; row < columns.count; row++) {
        rows.push(rowAt(columns, row));
        const isLast = ((columns.flags[row] as number) & ChangeFlag.last) !== 0;
        if (batch.part !== null || !isLast) continue;
        units.push({ end: previous + (columns.ends[row] as number), rows });
        for (let back = row - rows.length + 1; back <= row; back++) expect(columns.ends[back]).toBe(columns.ends[row]);
        rows = [];
      }
    }
    if (batch.part !== null) {
      expect(batch.part.id).toBe(previous);
      if (!batch.part.final) expect(batch.last).toBe(previous);
      else {
        units.push({ end: batch.last, rows });
        rows = [];
      }
      nextPart = batch.part.final ? 0 : nextPart + 1;
    } else {
      expect(rows).toEqual([]);
      if (batch.kind === BatchKind.changes) expect(units.at(-1)?.end).toBe(batch.last);
    }
    previous = batch.last;
  }
  expect(nextPart).toBe(0);
  return { units, bytes: Buffer.concat(batches.map(({ body }) => body)) };
}

function rowAt(rows: ChangeRows, row: number): Row {
  return {
    length: rows.lengths[row] as number,
    argc: rows.argcs[row] as number,
    slot: rows.slots[row] as number,
    db: rows.dbs[row] as number,
    flags: (rows.flags[row] as number) & ~ChangeFlag.last,
    header: rows.headers[row] as number,
  };
}

const command = fc.record({
  size: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 11, max: 200 }) },
    { weight: 1, arbitrary: fc.integer({ min: 11, max: 9_000 }) },
  ),
  db: fc.nat(15),
  flags: fc.constantFrom(0, 0, 0, ChangeFlag.expiry, ChangeFlag.barrier),
  pumps: fc.constantFrom(0, 0, 0, 0, 1, 2, 3),
});
const unit = fc.record({
  gap: fc.oneof(
    { weight: 8, arbitrary: fc.nat(300) },
    { weight: 1, arbitrary: fc.integer({ min: LONG_SPAN - 300, max: LONG_SPAN + 300 }) },
    { weight: 1, arbitrary: fc.integer({ min: LONG_SPAN, max: 2 ** 40 }) },
  ),
  commands: fc.oneof(
    { weight: 4, arbitrary: fc.array(command, { minLength: 1, maxLength: 1 }) },
    { weight: 1, arbitrary: fc.array(command, { minLength: 1, maxLength: 60 }) },
  ),
  beatsBehind: fc.boolean(),
});
const room = fc.integer({ min: 120, max: 3_000 });

test("ordered-lane, stored-before-ack: units of any size come out once, in order, in an unbroken chain of messages of bounded size", () => {
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 40 }), room, fc.nat(1000), (units, bodyRoom, start) => {
      const maxBytes = 256 + bodyRoom;
      const lane = new Lane(start, maxBytes);
      for (const each of units) lane.add(each);
      expect(lane.batcher.isEmpty).toBe(units.length === 0 || lane.batcher.unstoredFrom === Infinity);
      lane.drain();
      expect(lane.batcher.isEmpty).toBe(true);
      expect(lane.batcher.unstoredFrom).toBe(Infinity);
      expect(lane.backlog.bytes).toBe(0);
      expect(Math.max(0, ...lane.sizes)).toBeLessThanOrEqual(maxBytes);
      const found = read(lane.batches, start);
      expect(found.bytes.equals(Buffer.concat(lane.bytes))).toBe(true);
      expect(found.units).toEqual(lane.units.map(({ end, rows }) => ({ end, rows })));
    }),
    { numRuns: 200 },
  );
});

test("unit-never-split: a transaction that fits one message travels in one, whatever stood before it", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 900 }),
      fc.array(fc.integer({ min: 11, max: 100 }), { minLength: 1, maxLength: 8 }),
      (before, sizes) => {
        const lane = new Lane(0, 256 + 1000);
        const plain = { db: 0, flags: 0, pumps: 0 };
        if (before >= 11) lane.add({ gap: 0, commands: [{ ...plain, size: before }], beatsBehind: false });
        lane.add({ gap: 0, commands: sizes.map((size) => ({ ...plain, size })), beatsBehind: false });
        lane.drain();
        const holding = lane.batches.filter(({ last }) => last > (lane.units.at(-1)?.from ?? 0));
        expect(holding).toHaveLength(1);
        expect(holding[0]?.part).toBeNull();
      },
    ),
  );
});

test("the database of a batch is the one that its last whole unit left selected", () => {
  const batcher = new ChangeBatcher(HEAD, 0, 9, 10_000, new BacklogBound());
  const raw = { buffer: Buffer.alloc(20), start: 0, end: 20, argc: 1, headerLength: 4 };
  batcher.beginUnit(0);
  batcher.add(raw, 0, 1, 0);
  batcher.endUnit(20, 1);
  batcher.beginUnit(20);
  batcher.add(raw, 0, 2, 0);
  const first = decodeBatch(batcher.take()?.message ?? Buffer.alloc(0));
  expect([first.last, first.db, first.rows?.count]).toEqual([20, 1, 1]);
  batcher.endUnit(60, 3);
  batcher.stored();
  const second = decodeBatch(batcher.take()?.message ?? Buffer.alloc(0));
  expect([second.previous, second.last, second.db]).toEqual([20, 60, 3]);
});
