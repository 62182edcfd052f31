import { CommandFramer, ReplyError, type CommandArgument, type Reply } from "@sluice/redis";
import { Halt } from "@sluice/runtime";
import { ChangeFlag } from "@sluice/wire";
import { expect, test } from "vitest";
import { setUp, stream, unitsOf } from "./change-reader.sample.ts";
import { UnknownWrites, type SourceAsked } from "./unknown-writes.ts";

/** Rows of COMMAND INFO as 6.2 writes them. */
const ROWS: Readonly<Record<string, Reply>> = {
  "foo.push": [Buffer.from("foo.push"), -3, ["write", "denyoom"], 1, 1, 1, ["@write"]],
  "foo.move": [Buffer.from("foo.move"), 3, ["write", "noscript"], 1, 2, 1, ["@write"]],
  "foo.store": [Buffer.from("foo.store"), -4, ["write", "movablekeys"], 1, 1, 1, ["@write"]],
  "foo.read": [Buffer.from("foo.read"), -2, ["readonly"], 1, 1, 1, ["@read"]],
};

interface Asked extends SourceAsked {
  readonly requests: string[];
}

/** `keys`: what COMMAND GETKEYS… answers. */
function source(keys: Reply | ReplyError = [], refuse: ReplyError | null = null): Asked {
  const requests: string[] = [];
  const ask = async (request: readonly CommandArgument[]): Promise<Reply> => {
    requests.push(request.map(String).join(" "));
    if (refuse !== null) throw refuse;
    if (request[1] === "INFO") return [ROWS[String(request[2]).toLowerCase()] ?? null];
    if (keys instanceof ReplyError) throw keys;
    return keys;
  };
  return { requests, ask };
}

async function carriedBy(asked: Asked, bytes: Buffer, { lanes = 1, version = 60_216 } = {}) {
  const unknown = new UnknownWrites("s0", version, asked);
  const { reader, batchers } = setUp({ lanes, version, keysOf: (unplaced) => unknown.keysOf(unplaced) });
  if (!reader.push(bytes)) await unknown.learnFor(reader);
  return { units: unitsOf(batchers), reader };
}

async function haltOf(asked: Asked, line: string): Promise<Halt> {
  const cause: unknown = await carriedBy(asked, stream("SET a 1", line)).catch((error: unknown) => error);
  expect(cause).toBeInstanceOf(Halt);
  expect(cause).toMatchObject({ code: "SRC-006" });
  return cause as Halt;
}

// Mutations seen to fail it: unknown-writes.ts, `#table` not kept (asked again for each call); change-reader.ts, `#read`
// without the `return false`; `#addKeyedBy` without `ChangeFlag.keyed`.
test("applied-once: an unknown write is asked for once, and travels with the places of its keys, in its place in the stream", async () => {
  const asked = source();
  const bytes = stream(
    "SET a 1",
    "foo.push k v w",
    "INCR n",
    "MULTI",
    "FOO.MOVE {k}1 {k}2",
    "SET {k}3 x",
    "EXEC",
    "FOO.PUSH l v",
  );
  const { units, reader } = await carriedBy(asked, bytes);
  expect(asked.requests).toEqual(["COMMAND INFO foo.push", "COMMAND INFO FOO.MOVE"]);
  expect(units.map(({ commands, flags }) => [commands, flags])).toEqual([
    [["SET a 1"], 0],
    [["SLUICE.KEYED 1 foo.push k v w"], ChangeFlag.keyed],
    [["INCR n"], 0],
    [["SLUICE.KEYED-ALONE 1,2 FOO.MOVE {k}1 {k}2", "SET {k}3 x"], ChangeFlag.keyed],
    [["SLUICE.KEYED 1 FOO.PUSH l v"], ChangeFlag.keyed],
  ]);
  expect([reader.boundary, reader.isInTransaction, reader.commands]).toEqual([bytes.length, false, 6]);
});

// Mutations seen to fail it: unknown-writes.ts, `keysOf` without `mustAskKeys` (the first key alone); unknown-command.ts, `keyArgsInReply` from argument 0 on;
// change-reader.ts, `goOn` without `#boundary`.
test.each([
  [60_216, "GETKEYS", [Buffer.from("b"), Buffer.from("d")]],
  [70_015, "GETKEYSANDFLAGS", [Buffer.from("b"), Buffer.from("d")].map((key) => [key, ["RW"]])],
])("of one with movable keys each call is asked for, %i with %s", async (version, form, reply) => {
  const asked = source(reply);
  const bytes = stream("FOO.STORE b 1 d b", "FOO.STORE d x b");
  const { units, reader } = await carriedBy(asked, bytes, { version });
  expect(reader.boundary).toBe(bytes.length);
  expect(asked.requests).toEqual([
    "COMMAND INFO FOO.STORE",
    `COMMAND ${form} FOO.STORE b 1 d b`,
    `COMMAND ${form} FOO.STORE d x b`,
  ]);
  expect(units.flatMap(({ commands }) => commands)).toEqual([
    "SLUICE.KEYED 1,3 FOO.STORE b 1 d b",
    "SLUICE.KEYED 3,1 FOO.STORE d x b",
  ]);
});

// Mutation seen to fail it: change-reader.ts, `#addKeyedBy` with the lane 0.
test("it goes into the lane of its keys, and halts where they are in several", async () => {
  const bytes = stream("FOO.PUSH a v", "FOO.PUSH b v", "FOO.MOVE {b}1 {b}2");
  const { units } = await carriedBy(source(), bytes, { lanes: 16 });
  expect(new Set(units.map(({ lane }) => lane)).size).toBe(2);
  await expect(carriedBy(source(), stream("FOO.MOVE a b"), { lanes: 16 })).rejects.toMatchObject({ code: "PIP-004" });
});

// Mutation seen to fail it: unknown-writes.ts, `#ask` throws what `sourceFault` makes of any refusal (SRC-001, SRC-002).
test.each<[string, Asked, RegExp]>([
  ["FOO.NONE k", source(), /FOO\.NONE at offset \d+, .*COMMAND INFO FOO\.NONE: .*its own server does not know it/],
  ["FOO.READ k", source(), /does not call it a write/],
  ["FOO.PUSH", source(), /this call names no keys/],
  [
    "FOO.PUSH k",
    source([], new ReplyError("NOPERM this user has no permissions to run the 'command' command")),
    /COMMAND INFO FOO\.PUSH: the source answered NOPERM.*`\+command`/,
  ],
  [
    "FOO.PUSH k",
    source([], new ReplyError("ERR unknown command 'COMMAND'")),
    /the source answered ERR unknown command 'COMMAND'/,
  ],
  [
    "FOO.STORE k",
    source(new ReplyError("ERR The command has no key arguments")),
    /GETKEYS for a call of FOO\.STORE.*no key arguments/,
  ],
  ["FOO.STORE k", source([Buffer.from("elsewhere")]), /names a key that is no argument/],
  ["F\u0007O k", source(), /sent F\\x07O at/],
])("loud: %s halts with what was asked, and what it answered", async (line, asked, message) => {
  expect((await haltOf(asked, line)).message).toMatch(message);
});

test("a source that is not ready is waited for", async () => {
  const asked = source([], new ReplyError("LOADING Redis is loading the dataset in memory"));
  await expect(carriedBy(asked, stream("FOO.PUSH k v"))).rejects.toMatchObject({ code: "SRC-003" });
});

// Mutation seen to fail it: unknown-writes.ts, without MOST_LEARNED.
test("what one link learns has a bound", async () => {
  const ask = async (request: readonly CommandArgument[]): Promise<Reply> => [
    [Buffer.from(String(request[2])), -2, ["write"], 1, 1, 1, ["@write"]],
  ];
  const unknown = new UnknownWrites("s0", 60_216, { ask });
  const framer = new CommandFramer();
  const learn = async (from: number, until: number): Promise<void> => {
    framer.push(stream(...Array.from({ length: until - from }, (_, index) => `FOO.C${from + index} k`)));
    while (framer.next()) await unknown.learn({ command: framer, offset: 0 });
  };
  await learn(0, 256);
  await learn(0, 256);
  await expect(learn(256, 257)).rejects.toThrow(/256 names/);
});
