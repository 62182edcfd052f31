import { afterAll, beforeAll, expect, test } from "vitest";
import { spawnRedis } from "../../../../tools/spawn-redis.ts";
import type { SpawnedRedis } from "../../../../tools/spawn-redis.ts";
import { Connection } from "../connection/index.ts";
import { CommandFramer } from "../resp/command-framer.ts";
import { encodeCommand } from "../resp/encode-command.ts";
import { ReplyError } from "../resp/reply.ts";
import type { Reply } from "../resp/reply.ts";
import { commandDefinition } from "./command-definition.ts";
import type { CommandDefinition } from "./command-definition.ts";
import { CommandKind } from "./command-kind.ts";
import { commandTable } from "./command-table.ts";
import { absoluteExpiry } from "./rewrite-expiry.ts";

let redis: SpawnedRedis;
let connection: Connection;
let definitions: CommandDefinition[];

beforeAll(async () => {
  redis = await spawnRedis();
  connection = await Connection.open(redis);
  definitions = elements(await connection.call(["COMMAND"])).map((row) => commandDefinition(row));
});

afterAll(async () => {
  connection.close();
  await redis[Symbol.asyncDispose]();
});

function elements(reply: Reply): Reply[] {
  if (!Array.isArray(reply)) throw new TypeError("expected an array");
  return reply;
}

/** What GETKEYS answers, or the message of its error. */
async function serverKeys(args: readonly string[]): Promise<string[] | string> {
  try {
    return elements(await connection.call(["COMMAND", "GETKEYS", ...args])).map(String);
  } catch (error) {
    if (error instanceof ReplyError) return error.message;
    throw error;
  }
}

function framed(args: readonly string[]): CommandFramer {
  const framer = new CommandFramer();
  framer.push(encodeCommand(args));
  framer.next();
  return framer;
}

/** Commands with movable keys or a shape that plain words do not meet, in forms that put keywords where keys and values stand too. */
const forms: Readonly<Record<string, readonly string[]>> = {
  BITFIELD: ["k SET u8 0 1"],
  BLMPOP: ["0 1 a LEFT", "0 3 a LEFT COUNT RIGHT COUNT 2"],
  BZMPOP: ["0 2 a b MIN"],
  EVAL: ["return 2 a b c", "return 0 a"],
  EVALSHA: ["sha 1 a", "sha 0"],
  FCALL: ["f 2 a b c"],
  GEORADIUS: ["k 1 2 3 km", "k 1 2 3 km STORE d", "STORE 1 2 3 km STOREDIST d ASC", "k 1 2 3 km STORE d STOREDIST e"],
  GEORADIUSBYMEMBER: ["k STORE 3 km STORE d", "k m 3 km WITHDIST storedist e"],
  GEOSEARCHSTORE: ["d s FROMMEMBER m BYRADIUS 1 km ASC"],
  LMPOP: ["2 a b LEFT", "1 LEFT RIGHT COUNT 2"],
  MIGRATE: ["host 1 k 0 10", "host 1  0 10 COPY KEYS a b", "host 1  0 10 AUTH KEYS KEYS a", "host 1 KEYS 0 10 AUTH2 u p"],
  // GETKEYS also answers a number of arguments that the command itself refuses; ours calls that malformed.
  MSET: ["a 1", "a 1 b 2 a 3"],
  MSETNX: ["a 1", "a 1 b 2"],
  RESTORE: ["k 0 payload", "k 5 payload REPLACE ABSTTL"],
  SORT: [
    "k",
    "k BY w_* LIMIT 0 5 GET # GET STORE ALPHA",
    "k STORE d",
    "k BY STORE STORE d",
    "k LIMIT STORE STORE DESC store d STORE e",
  ],
  XADD: ["k * f v"],
  XAUTOCLAIM: ["k g c 0 0"],
  XGROUP: ["CREATE k g 0", "SETID k g $", "DESTROY k g", "CREATECONSUMER k g c", "DELCONSUMER k g c"],
  XREADGROUP: ["GROUP g c STREAMS a >", "GROUP g c COUNT 1 BLOCK 5 NOACK STREAMS a b > >", "GROUP STREAMS c STREAMS STREAMS >"],
  ZDIFFSTORE: ["d 2 a b"],
  ZINTERSTORE: ["d 2 a b WEIGHTS 1 2", "d 1 a AGGREGATE MAX"],
  ZMPOP: ["1 a MIN", "2 a b MAX COUNT 1"],
  ZRANGESTORE: ["d s 0 -1"],
  ZUNIONSTORE: ["d 3 a b WEIGHTS", "d 1 a WEIGHTS 1"],
  COPY: ["a b DB 1 REPLACE", "a b"],
};

/** Plain words of several lengths, those that the command's arity allows. */
function plainForms(): string[] {
  return Array.from({ length: 8 }, (_, count) => Array.from({ length: count + 1 }, (_, index) => `w${index}`).join(" "));
}

test("every command that the server calls a write has a kind and a key rule", () => {
  const writes = definitions.filter((definition) => definition.write);
  expect(writes.length).toBeGreaterThan(90);
  const problems: string[] = [];
  for (const { name, firstKey } of writes) {
    const id = commandTable.idOf(name);
    const kind = commandTable.kind[id];
    if (id < 0 || kind === undefined) problems.push(`${name}: not in the table`);
    else if (kind === CommandKind.forbidden && name !== "MIGRATE") problems.push(`${name}: forbidden`);
    else if (kind === CommandKind.write && firstKey === 0 && forms[name] === undefined)
      problems.push(`${name}: no form tried here tells its keys`);
  }
  expect(problems).toEqual([]);
});

test("the generated table is what this server says, where it is the same version", () => {
  for (const definition of definitions) {
    const known = commandTable.definition(commandTable.idOf(definition.name));
    expect({ ...known, subcommands: known?.subcommands.toSorted() }).toEqual({
      ...definition,
      subcommands: definition.subcommands.toSorted(),
    });
  }
});

test("keys are those of COMMAND GETKEYS, for every write and script command", async () => {
  const kinds = new Set<number>([CommandKind.write, CommandKind.script]);
  const compared = new Set<string>();
  const problems: string[] = [];
  for (const { name } of definitions) {
    const kind = commandTable.kind[commandTable.idOf(name)] ?? -1;
    if (!kinds.has(kind) && name !== "MIGRATE") continue;
    for (const form of forms[name] ?? plainForms()) {
      const args = [name, ...form.split(" ")];
      const theirs = await serverKeys(args);
      if (typeof theirs === "string") {
        // Too few or too many words for this command; a form written for it must be taken, unless it has no keys.
        if (forms[name] !== undefined && !theirs.includes("no key arguments")) problems.push(`${args.join(" ")}: ${theirs}`);
        continue;
      }
      const command = framed(args);
      const out = new Int32Array(32);
      const count = commandTable.keyArgs(commandTable.idOfCommand(command), command, out);
      const ours = [...out.subarray(0, Math.max(0, count))].map((index) => args[index]);
      expect([args, ours]).toEqual([args, theirs]);
      compared.add(name);
    }
  }
  expect(problems).toEqual([]);
  const missing = definitions.filter(
    ({ name }) => commandTable.kind[commandTable.idOf(name)] === CommandKind.write && !compared.has(name),
  );
  expect(missing).toEqual([]);
  for (const name of ["EVAL", "EVALSHA", "FCALL", "MIGRATE"]) expect(compared).toContain(name);
});

test("rewritten expiries are taken by the server and mean the same", async () => {
  const nowMs = Date.now();
  await connection.call(["SET", "dumped", "v"]);
  const payload = await connection.call(["DUMP", "dumped"]);
  if (!Buffer.isBuffer(payload)) throw new TypeError("DUMP answered no bulk string");
  const commands: readonly (readonly (string | Buffer)[])[] = [
    ["SETEX", "k", "100", "v"],
    ["PSETEX", "k", "100000", "v"],
    ["SET", "k", "v", "EX", "100"],
    ["SET", "k", "v", "PX", "100000", "GET"],
    ["EXPIRE", "k", "100"],
    ["PEXPIRE", "k", "100000", "NX"],
    ["GETEX", "k", "EX", "100"],
    ["RESTORE", "k", "100000", payload, "REPLACE"],
  ];
  for (const args of commands) {
    await connection.call(["SET", "k", "v"]);
    const framer = new CommandFramer();
    framer.push(encodeCommand(args));
    framer.next();
    const rewritten = absoluteExpiry(framer, nowMs)!;
    await connection.exchange(rewritten, 1, (replies) => {
      if (!replies.next()) return 0;
      expect(replies.buffer.toString("latin1", replies.start, replies.end)).not.toMatch(/^-/);
      return 1;
    });
    expect([args[0], await connection.call(["PEXPIRETIME", "k"]), await connection.call(["GET", "k"])]).toEqual([
      args[0],
      nowMs + 100_000,
      Buffer.from("v"),
    ]);
  }
});
