import { rdbFixtures, recordedRdbs, type FixtureKey } from "@sluice/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RdbEntry } from "./rdb-entry.ts";
import { Crc64 } from "../crc64.ts";
import { RdbError } from "./rdb-error.ts";
import { RdbReader } from "./rdb-reader.ts";
import type { RdbReaderOptions } from "./rdb-reader.ts";
import type { RdbSink } from "./rdb-sink.ts";
import { rdbString } from "./rdb-string.ts";
import { rdbTypeName } from "./rdb-type.ts";

const fixtures = new Map(rdbFixtures().map((fixture) => [fixture.name, fixture]));
const recorded = new Map(recordedRdbs().map(({ name, rdb, after }) => [name, { rdb, after }]));
const bytesOf = new Map([
  ...[...fixtures].map(([name, { bytes }]) => [name, bytes] as const),
  ...[...recorded].map(([name, { rdb }]) => [name, rdb] as const),
]);
const files = [...fixtures.keys()];
const small = files.filter((name) => bytesOf.get(name)!.length < 10_000);
const large = files.filter((name) => bytesOf.get(name)!.length >= 10_000);

/** Everything a sink is told, as lines. */
class Transcript implements RdbSink {
  readonly lines: string[] = [];
  entries = 0;
  #say(...words: (string | number)[]): void {
    this.lines.push(words.join(" "));
  }
  aux(name: Buffer, value: Buffer): void {
    this.#say("aux", name.toString("latin1"), value.toString("latin1"));
  }
  selectDb(db: number): void {
    this.#say("select", db);
  }
  resizeDb(keys: number, expires: number): void {
    this.#say("resize", keys, expires);
  }
  functionLibrary(raw: Buffer): void {
    this.#say("library", rdbString(raw).toString("latin1"));
  }
  moduleAux(moduleName: string): void {
    this.#say("module", moduleName);
  }
  entry(entry: RdbEntry): void {
    this.#say("entry", ...this.#head(entry), entry.value.toString("base64"));
  }
  entryStart(entry: RdbEntry): void {
    this.#say("start", ...this.#head(entry));
  }
  entryPart(bytes: Buffer): void {
    this.#say("part", bytes.length, bytes.toString("base64"));
  }
  entryEnd(): void {
    this.#say("end");
  }
  #head({ db, key, type, expireAtMs, idleSeconds, freq }: RdbEntry): (string | number)[] {
    this.entries++;
    return [db, key.toString("base64"), type, expireAtMs, idleSeconds, freq];
  }
}

function read(bytes: Buffer, cuts: readonly number[] = [], options: RdbReaderOptions = {}): string[] {
  const transcript = new Transcript();
  const reader = new RdbReader(transcript, options);
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    // A buffer that is overwritten afterwards, as a socket's may be.
    const chunk = Buffer.from(bytes.subarray(from, to));
    if (reader.push(chunk) !== chunk.length) throw new Error(`a chunk at ${from} was not taken whole`);
    chunk.fill(0xee);
    from = to;
  }
  reader.finish();
  expect(reader.offset).toBe(bytes.length);
  return transcript.lines;
}

/** One number of everything a sink is told, with parts of 50 bytes. */
function digest(bytes: Buffer, cut: number): string {
  const crc = new Crc64();
  const numbers = Buffer.alloc(40);
  const say = (buffer: Buffer, ...told: number[]): void => {
    for (const [at, number] of told.entries()) numbers.writeDoubleLE(number, at * 8);
    crc.update(numbers, 0, told.length * 8).update(buffer);
  };
  const nothing = (): void => undefined;
  const start = ({ key, db, type, expireAtMs, idleSeconds, freq }: Readonly<RdbEntry>): void =>
    say(key, db, type, expireAtMs, idleSeconds, freq);
  const reader = new RdbReader(
    {
      aux: (name, value) => say(value, name.length),
      selectDb: (db) => say(numbers, db),
      resizeDb: (keys, expires) => say(numbers, keys, expires),
      functionLibrary: (raw) => say(raw),
      moduleAux: nothing,
      entry: (entry) => {
        start(entry);
        say(entry.value);
      },
      entryStart: start,
      entryPart: (part) => say(part, part.length),
      entryEnd: () => say(numbers, 1),
    },
    { partBytes: 50 },
  );
  reader.push(bytes.subarray(0, cut));
  reader.push(bytes.subarray(cut));
  reader.finish();
  return crc.toString();
}

function errorOf(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe("files of real servers", () => {
  test.each(files)("%s: database, key, type, expiry, idle time and counter of every key", (name) => {
    const { bytes, expected } = fixtures.get(name)!;
    const wanted = new Map(expected.keys.map((key) => [`${key.db} ${key.key}`, key]));
    const line = (key: FixtureKey, type: string, expireAtMs: number, freq: number | undefined): string =>
      [key.db, key.key, type, expireAtMs, freq].join(" ");
    const got: string[] = [];
    let idleAsExpected = true;
    const sink = new Transcript();
    sink.entry = ({ db, key, type, expireAtMs, idleSeconds, freq }) => {
      const place = { ...wanted.get(`${db} ${key.toString("base64")}`)!, db, key: key.toString("base64") };
      if (place.idle !== undefined) idleAsExpected &&= idleSeconds >= place.idle && idleSeconds <= place.idle + 2;
      idleAsExpected &&= idleSeconds >= 0 === name.endsWith("lru.rdb");
      const family = rdbTypeName(type).split(" ")[0]!;
      // Redis 4.0 knows the counters but writes none.
      const counter = name.startsWith("redis-4.0") ? place.freq : freq < 0 ? undefined : freq;
      got.push(line(place, family === "module" ? "vectorset" : family, expireAtMs, counter));
    };
    const reader = new RdbReader(sink);
    reader.push(bytes);
    reader.finish();
    expect(got.toSorted()).toEqual(expected.keys.map((key) => line(key, key.type, key.pexpireat ?? -1, key.freq)).toSorted());
    expect(idleAsExpected).toBe(true);
    expect(reader.checksum).toBe(name.includes("nocrc") ? "disabled" : "verified");
    expect(reader.version).toBe(Number(bytes.toString("latin1", 0, 9).replace(/\D+/, "")));
  });

  test.each([...recorded.keys()])("%s: the RDB is read to its end and no further", (name) => {
    const { rdb, after } = recorded.get(name)!;
    const sink = new Transcript();
    const reader = new RdbReader(sink);
    expect(reader.push(Buffer.concat([rdb, after]))).toBe(rdb.length);
    expect([reader.done, reader.checksum, reader.offset]).toEqual([true, "verified", rdb.length]);
    expect(sink.entries).toBeGreaterThan(10);
  });

  test("aux fields, sizes of databases, libraries, and what a module saved", () => {
    const lines = read(bytesOf.get("redis-7.4.1/dump.rdb")!);
    expect(lines).toContain("aux redis-ver 7.4.1");
    expect(lines).toContain("aux redis-bits 64");
    expect(lines.filter((line) => line.startsWith("library #!lua name="))).toHaveLength(3);
    expect(lines.filter((line) => line.startsWith("select"))).toEqual(["select 0", "select 1", "select 11", "select 15"]);
    expect(lines.filter((line) => line.startsWith("resize")).map((line) => line.split(" ")[1])).toEqual([
      "195",
      "78",
      "78",
      "2",
    ]);
  });
});

describe("any cutting of the input gives the same", () => {
  const options = [{}, { partBytes: 100 }];

  test.each(small)("%s: cut in two everywhere", (name) => {
    const bytes = bytesOf.get(name)!;
    const whole = digest(bytes, bytes.length);
    const differing: number[] = [];
    for (let cut = 1; cut < bytes.length; cut++) if (digest(bytes, cut) !== whole) differing.push(cut);
    expect(differing).toEqual([]);
  });

  test.each(files)("%s: one byte at a time", (name) => {
    const bytes = bytesOf.get(name)!;
    const cuts = Array.from({ length: bytes.length - 1 }, (_, at) => at + 1);
    for (const option of small.includes(name) ? [...options, { partBytes: 1 }] : options) {
      expect(read(bytes, cuts, option)).toEqual(read(bytes, [], option));
    }
  });

  test.each(large)("%s: cut anywhere", (name) => {
    const bytes = bytesOf.get(name)!;
    const whole = new Map(options.map((option) => [option, read(bytes, [], option).join("\n")]));
    const cuts = fc.array(fc.nat(bytes.length), { maxLength: 100 }).map((places) => places.toSorted((a, b) => a - b));
    fc.assert(
      fc.property(cuts, fc.constantFrom(...options), (places, option) => {
        expect(read(bytes, places, option).join("\n") === whole.get(option)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  test.each(files)("%s: parts of exactly partBytes but the last, together the value", (name) => {
    const bytes = bytesOf.get(name)!;
    const joined: string[] = [];
    let sizes: number[] = [];
    let pieces: Buffer[] = [];
    for (const line of read(bytes, [], { partBytes: 16 })) {
      const words = line.split(" ");
      if (words[0] === "entry") expect(Buffer.from(words.at(-1)!, "base64").length).toBeLessThanOrEqual(16);
      if (words[0] === "start") joined.push(["entry", ...words.slice(1)].join(" "));
      else if (words[0] === "part") {
        sizes.push(Number(words[1]));
        pieces.push(Buffer.from(words[2]!, "base64"));
      } else if (words[0] === "end") {
        joined.push(`${joined.pop()} ${Buffer.concat(pieces).toString("base64")}`);
        expect(sizes.length).toBeGreaterThan(1);
        expect(sizes.slice(0, -1).every((size) => size === 16)).toBe(true);
        expect(sizes.at(-1)).toBeGreaterThan(0);
        sizes = [];
        pieces = [];
      } else joined.push(line);
    }
    expect(joined).toEqual(read(bytes));
  });
});

describe("where the RDB ends", () => {
  test.each(small)("%s: what follows is the caller's, wherever the chunk was cut", (name) => {
    const bytes = bytesOf.get(name)!;
    const stream = Buffer.concat([bytes, Buffer.alloc(40, "m")]);
    for (let cut = bytes.length - 20; cut <= stream.length; cut++) {
      const reader = new RdbReader(new Transcript());
      const first = reader.push(stream.subarray(0, cut));
      expect(first).toBe(Math.min(cut, bytes.length));
      expect(reader.done).toBe(cut >= bytes.length);
      expect(first + reader.push(stream.subarray(cut))).toBe(bytes.length);
      expect(reader.done).toBe(true);
      expect(reader.push(stream)).toBe(0);
      reader.finish();
    }
  });
});

describe("input that ends too early", () => {
  test.each(files)("%s: asks for more, then is an RdbError at the end", (name) => {
    const bytes = bytesOf.get(name)!;
    const step = Math.ceil(bytes.length / 100);
    for (let size = 0; size < bytes.length; size += step) {
      const reader = new RdbReader(new Transcript(), { partBytes: 50 });
      const taken = reader.push(bytes.subarray(0, size));
      const first = errorOf(() => reader.finish());
      const again = errorOf(() => reader.push(bytes.subarray(size)));
      if (taken === size && !reader.done && again === first && first instanceof RdbError && first.offset === size) continue;
      expect({ taken, done: reader.done, first, again }).toBe(`refused at ${size}`);
    }
  });
});

/** Every bit of the four digits in `REDIS0011`. */
const VERSION_BITS = Array.from({ length: 32 }, (_, bit) => 5 * 8 + bit);

describe("refused", () => {
  test.each(files.filter((name) => !name.includes("nocrc")))("%s: any other bit somewhere", (name) => {
    const bytes = Buffer.from(bytesOf.get(name)!);
    fc.assert(
      fc.property(fc.nat(bytes.length * 8 - 1), (bit) => {
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        const reader = new RdbReader(new Transcript());
        try {
          const taken = reader.push(bytes);
          reader.finish();
          // The version in the header made one from before checksums: the file then goes on behind the RDB, which its transfer refuses.
          expect([reader.checksum, taken]).toEqual(["absent", bytes.length - 8]);
        } catch (error) {
          expect(error).toBeInstanceOf(RdbError);
        } finally {
          bytes[bit >> 3]! ^= 1 << (bit & 7);
        }
      }),
      { numRuns: 50, examples: VERSION_BITS.map((bit) => [bit]) },
    );
  });

  test.each(files.filter((name) => name.includes("nocrc")))("%s: changed bytes are an RdbError or another RDB", (name) => {
    const bytes = bytesOf.get(name)!;
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 5 }), fc.nat(bytes.length), (changes, cut) => {
        const changed = Buffer.from(bytes);
        for (const [at, byte] of changes) changed[at] = byte;
        const reader = new RdbReader(new Transcript(), { partBytes: 64 });
        try {
          reader.push(changed.subarray(0, cut));
          reader.push(changed.subarray(cut));
          reader.finish();
          expect(reader.done).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(RdbError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
