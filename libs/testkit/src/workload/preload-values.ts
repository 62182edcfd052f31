import type { Command } from "./command.ts";
import type { KeyKind } from "./key-name.ts";
import type { Random } from "./random.ts";

type Key = string | Buffer;
type Arg = string | number | Buffer;

/** One value in this many is a large one (the encodings for large values, several nodes of a quicklist or radix tree). */
const LARGE_SHARE = 1 / 100;

/** The commands that create one key of each kind in an empty place, with sizes around every change of encoding of Redis 7. */
export const preloadCommands: Readonly<Record<KeyKind, (random: Random, key: Key) => Command[]>> = {
  string: (random, key) => [["SET", key, stringValue(random)]],
  number: (random, key) => [["SET", key, random.pick([0, 7, 9999, 10_000, -1, 2 ** 31, -(2 ** 53) + 1, random.uint32()])]],
  float: (random, key) => [["SET", key, random.pick(["0.5", "-3.25", "1e10", "3.0e3", "0.1", "12345.678901"])]],
  bitmap: (random, key) =>
    Array.from({ length: random.between(1, 5) }, () => ["SETBIT", key, random.between(0, 9000), 1] as Command),
  hash: (random, key) => [["HSET", key, ...pairs(random, size(random, 12, 700), (index) => `f${index}`)]],
  list: (random, key) => lists(random, key),
  set: (random, key) => [["SADD", key, ...setMembers(random)]],
  zset: (random, key) => [["ZADD", key, ...scored(random)]],
  geo: (random, key) => [["GEOADD", key, ...places(random)]],
  stream: (random, key) => streamCommands(random, key),
  hll: (random, key) => [["PFADD", key, ...elements(random, size(random, 8, 3000), 10)]],
};

const HUGE = { list: 12_000, hash: 6000, set: 3000, zset: 3000 };
const HUGE_CHUNK = 1000;

/** The commands for a key with thousands of elements, where the kind has such, 1000 elements a command. */
export function hugeCommands(kind: KeyKind, random: Random, key: Key): Command[] {
  switch (kind) {
    case "list":
      return chunked("RPUSH", key, elements(random, HUGE.list, 10));
    case "hash":
      return chunked(
        "HSET",
        key,
        pairs(random, HUGE.hash, (index) => `f${index}`),
      );
    case "set":
      return chunked("SADD", key, elements(random, HUGE.set, 8));
    case "zset":
      return chunked(
        "ZADD",
        key,
        elements(random, HUGE.zset, 8).flatMap((member, index) => [index / 4, member]),
      );
    default:
      return preloadCommands[kind](random, key);
  }
}

function chunked(name: string, key: Key, args: readonly Arg[]): Command[] {
  const commands: Command[] = [];
  for (let at = 0; at < args.length; at += HUGE_CHUNK) commands.push([name, key, ...args.slice(at, at + HUGE_CHUNK)]);
  return commands;
}

function size(random: Random, usual: number, large: number): number {
  return random.chance(LARGE_SHARE) ? random.between(usual + 1, large) : random.between(1, usual);
}

function stringValue(random: Random): string | Buffer {
  switch (random.between(0, 7)) {
    case 0:
      return "";
    case 1:
      return random.word(random.between(1, 44));
    case 2:
      return random.word(random.between(45, 300));
    case 3:
      return Buffer.concat([Buffer.from("\r\n$3\r\n\0"), random.bytes(random.between(1, 60)), Buffer.from("\r\n*1\r\n\0")]);
    case 4:
      return "compressible ".repeat(size(random, 40, 20_000));
    case 5:
      return Buffer.alloc(random.between(1, 100));
    case 6:
      return ` ${random.between(0, 1e6)}`;
    default:
      return random.word(random.between(8, 24));
  }
}

function elements(random: Random, count: number, length: number): Arg[] {
  return Array.from({ length: count }, (_, index) => `${index}-${random.word(length)}`);
}

function pairs(random: Random, count: number, name: (index: number) => string): Arg[] {
  const isLong = random.chance(0.05);
  const args: Arg[] = [];
  for (let index = 0; index < count; index++) args.push(name(index), random.word(isLong ? random.between(60, 90) : 6));
  return args;
}

function lists(random: Random, key: Key): Command[] {
  const count = size(random, 20, 1500);
  const isNumeric = random.chance(0.3);
  const values: Arg[] = Array.from({ length: count }, () => (isNumeric ? random.uint32() - 2 ** 31 : random.word(12)));
  if (random.chance(LARGE_SHARE)) values.push("x".repeat(10_000)); // larger than a quicklist node: a plain node of its own
  return [["RPUSH", key, ...values]];
}

function setMembers(random: Random): Arg[] {
  if (random.chance(0.4)) {
    const width = random.pick([1000, 2 ** 31, 2 ** 40]);
    return Array.from({ length: size(random, 20, 700) }, () => Math.floor((random.fraction() - 0.5) * width));
  }
  return [...elements(random, size(random, 20, 700), 6), random.bytes(8)];
}

function scored(random: Random): Arg[] {
  const special = ["inf", "-inf", "-0", "0.1", "3.0000000000000004", "-1.7976931348623157e+308", "5e-324", "12345678901234567"];
  const args: Arg[] = [];
  for (const member of elements(random, size(random, 16, 400), 5)) {
    args.push(random.chance(0.3) ? random.pick(special) : (random.fraction() - 0.5) * 1e6, member);
  }
  return args;
}

function places(random: Random): Arg[] {
  const args: Arg[] = [];
  for (const member of elements(random, size(random, 5, 200), 4)) {
    args.push((random.fraction() * 360 - 180).toFixed(6), (random.fraction() * 170 - 85).toFixed(6), member);
  }
  return args;
}

function streamCommands(random: Random, key: Key): Command[] {
  const count = size(random, 6, 250);
  const commands: Command[] = [];
  for (let index = 1; index <= count; index++) {
    const fields = random.chance(0.7) ? ["kind", "x", "n", index] : [random.word(4), random.bytes(5)];
    commands.push(["XADD", key, `${1_700_000_000_000 + index * 3}-${index % 3}`, ...fields]);
  }
  if (random.chance(0.5)) {
    commands.push(["XGROUP", "CREATE", key, "readers", "0"], ["XGROUP", "CREATE", key, "idle", "$"]);
    commands.push(["XREADGROUP", "GROUP", "readers", "alice", "COUNT", 2, "STREAMS", key, ">"]);
    commands.push(["XREADGROUP", "GROUP", "readers", "bob", "COUNT", 2, "STREAMS", key, ">"]);
    commands.push(["XACK", key, "readers", "1700000000003-1"]);
  }
  if (random.chance(0.3)) commands.push(["XDEL", key, `${1_700_000_000_000 + count * 3}-${count % 3}`]);
  return commands;
}
