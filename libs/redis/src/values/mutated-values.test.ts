import { Random, rdbFixtures, recordedRdbs } from "@sluice/testkit";
import { expect, test } from "vitest";
import { RdbError } from "../rdb/rdb-error.ts";
import { RdbReader } from "../rdb/rdb-reader.ts";
import type { RdbSink } from "../rdb/rdb-sink.ts";
import { elementCommands } from "./element-commands.ts";
import { rdbKeys, type RdbKey } from "./rdb-keys.sample.ts";

/** `SLUICE_MUTATIONS=1000000 SLUICE_MUTATION_SEED=7` for more than a build has time for. */
const RUNS = Number(process.env["SLUICE_MUTATIONS"] ?? 6000);
const SEED = Number(process.env["SLUICE_MUTATION_SEED"] ?? 1);
const MB = 1024 * 1024;
/** The most memory that a run may need; the largest input is 0.14 MB, and LZF makes 88 bytes of one. */
const MOST_BYTES = 300 * MB;
/** Elements of one mutated value: LZF and fields that a stream's entries share make more than there are bytes, but not many more. */
const MOST_COMMANDS = 1_000_000;

const random = new Random(SEED);
const rdbs = [...rdbFixtures().map(({ bytes }) => bytes), ...recordedRdbs().map(({ rdb }) => rdb)];
const small = rdbs.filter(({ length }) => length < 10_000);
const values = rdbs.flatMap((rdb) => rdbKeys(rdb)).filter(({ value }) => value[0]!.length < 20_000);

function below(most: number): number {
  return random.between(0, most - 1);
}

/** Some bytes changed, moved, repeated, taken out, or the end cut off. */
function mutated(bytes: Buffer, from: number): Buffer {
  let changed = Buffer.from(bytes);
  for (let count = 1 + below(4); count > 0 && changed.length > from + 1; count--) {
    const at = from + below(changed.length - from);
    const size = Math.min(1 + below(16), changed.length - at);
    switch (below(7)) {
      case 0:
        changed[at] = below(256);
        break;
      case 1:
        changed[at]! ^= 1 << below(8);
        break;
      case 2:
        changed[at] = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0xc0, 0xc3, 0xf0, 0xf4, 0xfe, 0xff][below(13)]!;
        break;
      case 3:
        changed = Buffer.concat([changed.subarray(0, at), changed.subarray(at + size)]);
        break;
      case 4:
        changed = Buffer.concat([changed.subarray(0, at + size), changed.subarray(at)]);
        break;
      case 5:
        changed.copy(changed, at, from + below(changed.length - from), changed.length);
        break;
      default:
        if (below(10) === 0) changed = changed.subarray(0, at);
        else changed.fill(0xff, at, at + Math.min(size, 8));
    }
  }
  return changed;
}

function pieces(bytes: Buffer): Buffer[] {
  const size = [bytes.length, 1, 13, 100, 4_000][below(5)]! + 1;
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size));
}

let commands = 0;

/** Everything that is made of a value, counted; 0 if it is refused. */
function build({ type, value }: Pick<RdbKey, "type" | "value">): number {
  let made = 0;
  const options = {
    key: Buffer.of(1),
    destination: { version: below(2) === 0 ? 80_000 : 30_000, isValkey: false },
    lacks: () => undefined,
    maxPending: 10_000,
  };
  for (const command of elementCommands(type, value, options)) {
    made += command.length;
    if (made > MOST_COMMANDS) throw new Error(`type ${type} makes too many elements`);
  }
  commands += made;
  return made;
}

/** True if only an RdbError, or nothing, is wrong. */
function isRefusedOrRead(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (error instanceof RdbError && error.offset >= 0) return true;
    throw error;
  }
}

function readWhole(bytes: Buffer): void {
  let parts: Buffer[] = [];
  let type = 0;
  const nothing = (): void => undefined;
  const attempt = (value: Buffer[]): void => void isRefusedOrRead(() => build({ type, value }));
  const sink: RdbSink = {
    aux: nothing,
    selectDb: nothing,
    resizeDb: nothing,
    functionLibrary: nothing,
    moduleAux: nothing,
    entry: (entry) => {
      ({ type } = entry);
      attempt([Buffer.from(entry.value)]);
    },
    entryStart: (entry) => {
      ({ type } = entry);
      parts = [];
    },
    entryPart: (part) => parts.push(Buffer.from(part)),
    entryEnd: () => attempt(parts),
  };
  const reader = new RdbReader(sink, { unknown: below(2) === 0 ? "halt" : "skip", partBytes: [500, 100_000][below(2)]! });
  for (const piece of pieces(bytes)) reader.push(piece);
  reader.finish();
}

// Mutation: ziplist.ts, #need checks nothing: a RangeError of a read beyond the bytes.
test(`mutated RDBs and values are read or refused, seed ${SEED}`, { timeout: 0 }, () => {
  const start = performance.now();
  let peakBytes = 0;
  let slowestMs = 0;
  for (let run = 0; run < RUNS; run++) {
    const before = performance.now();
    if (run % 8 === 0) {
      const rdb = run % 400 === 0 ? rdbs[below(rdbs.length)]! : small[below(small.length)]!;
      isRefusedOrRead(() => readWhole(mutated(rdb, 9)));
    } else {
      const { type, value } = values[below(values.length)]!;
      isRefusedOrRead(() => build({ type, value: pieces(mutated(value[0]!, 0)) }));
    }
    slowestMs = Math.max(slowestMs, performance.now() - before);
    if (run % 100 === 0) peakBytes = Math.max(peakBytes, process.memoryUsage().arrayBuffers);
  }
  console.log(`${RUNS} runs, ${Math.round(performance.now() - start)} ms, slowest ${Math.round(slowestMs)} ms`);
  console.log(`most memory of buffers ${Math.round(peakBytes / MB)} MB, ${commands} arguments made`);
  expect(peakBytes).toBeLessThan(MOST_BYTES);
  expect(slowestMs).toBeLessThan(10_000);
  expect(commands).toBeGreaterThan(RUNS);
});
