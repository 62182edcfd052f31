/*
 * How fast the RDB reader cuts a file into keys and raw values, checksum included, in the 64 KiB chunks a socket delivers.
 * node -C @sluice/source --import tsx test/bench/rdb-reader.ts
 */
import { Crc64, RdbReader } from "@sluice/redis";
import type { RdbSink } from "@sluice/redis";

const CHUNK_BYTES = 64 * 1024;
const ROUNDS = 5;

function rdbLength(length: number): Buffer {
  if (length < 64) return Buffer.of(length);
  if (length < 16_384) return Buffer.of(0x40 | (length >> 8), length & 0xff);
  const long = Buffer.alloc(5, 0x80);
  long.writeUInt32BE(length, 1);
  return long;
}

function rdbText(text: string | Buffer): Buffer {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  return Buffer.concat([rdbLength(bytes.length), bytes]);
}

function file(count: number, entry: (n: number) => Buffer[]): Buffer {
  const parts: Buffer[] = [Buffer.from("REDIS0010"), Buffer.of(0xfe, 0)];
  for (let n = 0; n < count; n++) parts.push(...entry(n));
  parts.push(Buffer.of(0xff));
  const body = Buffer.concat(parts);
  const checksum = Buffer.alloc(8);
  new Crc64().update(body).writeTo(checksum, 0);
  return Buffer.concat([body, checksum]);
}

function list<T>(count: number, item: (n: number) => T): T[] {
  return Array.from({ length: count }, (_, n) => item(n));
}

const expiry = Buffer.of(0xfc, 0, 0, 1, 0x8f, 0x33, 2, 0, 0);
const node = Buffer.alloc(8_000, "n");
const files: Record<string, Buffer> = {
  "small strings": file(400_000, (n) => [Buffer.of(0), rdbText(`user:${n}`), rdbText("a value of 20 bytes.")]),
  "small strings with expiry": file(400_000, (n) => [
    expiry,
    Buffer.of(0),
    rdbText(`user:${n}`),
    rdbText("a value of 20 bytes."),
  ]),
  "integer keys and values": file(400_000, (n) => [
    Buffer.of(0, 0xc2, n & 0xff, (n >> 8) & 0xff, n >> 16, 1),
    Buffer.of(0xc0, n),
  ]),
  "hashes of 100 short fields": file(10_000, (n) => [
    Buffer.of(4),
    rdbText(`hash:${n}`),
    rdbLength(100),
    ...list(100, (field) => Buffer.concat([rdbText(`field:${field}`), rdbText("value")])),
  ]),
  "zsets of 200 members": file(5_000, (n) => [
    Buffer.of(5),
    rdbText(`zset:${n}`),
    rdbLength(200),
    ...list(200, (member) => Buffer.concat([rdbText(`member:${member}`), Buffer.alloc(8)])),
  ]),
  "lists of 8 KB nodes": file(1_000, (n) => [
    Buffer.of(18),
    rdbText(`list:${n}`),
    rdbLength(10),
    ...list(10, () => Buffer.concat([Buffer.of(2), rdbText(node)])),
  ]),
  "strings of 4 MB (in parts)": file(20, (n) => [Buffer.of(0), rdbText(`big:${n}`), rdbText(Buffer.alloc(4_000_000))]),
};

function measure(name: string, bytes: Buffer): void {
  let best = Infinity;
  let keys = 0;
  const nothing = (): void => {};
  const sink: RdbSink = {
    aux: nothing,
    selectDb: nothing,
    resizeDb: nothing,
    functionLibrary: nothing,
    moduleAux: nothing,
    entry: () => keys++,
    entryStart: () => keys++,
    entryPart: nothing,
    entryEnd: nothing,
  };
  for (let round = 0; round < ROUNDS; round++) {
    keys = 0;
    const reader = new RdbReader(sink);
    const start = process.hrtime.bigint();
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) reader.push(bytes.subarray(at, at + CHUNK_BYTES));
    reader.finish();
    best = Math.min(best, Number(process.hrtime.bigint() - start) / 1e9);
  }
  const rate = `${(bytes.length / best / 1e6).toFixed(0)} MB/s`;
  console.log(`${name.padEnd(28)} ${rate.padStart(10)} ${(keys / best / 1e6).toFixed(2).padStart(8)} M keys/s`);
}

for (const [name, bytes] of Object.entries(files)) measure(name, bytes);
