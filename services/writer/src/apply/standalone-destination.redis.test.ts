import { Connection, encodeCommand, ReplyError, type CommandArgument } from "@sluice/redis";
import { describeFault } from "@sluice/runtime";
import { RedisServer, waitUntil } from "@sluice/testkit";
import { formatMark, type Position } from "@sluice/wire";
import { expect, test } from "vitest";
import { Request } from "./request.ts";
import { destinationFault, StandaloneDestination } from "./standalone-destination.ts";
import { WatchedTransaction } from "./watched-transaction.ts";

const MARK = "sluice:{x}:p:main:s0.0";
const never = new AbortController().signal;

function at(offset: number): Position {
  return { epoch: 1, copy: 1, phase: "live", shard: "s0", offset, sequence: offset };
}

function group(...commands: readonly (readonly CommandArgument[])[]): Request {
  const request = new Request();
  for (const command of commands) {
    if (command[0] === "SELECT") request.select(Number(command[1]));
    else request.addCommand(command);
  }
  return request;
}

const open = async (server: RedisServer, user?: string): Promise<StandaloneDestination> =>
  StandaloneDestination.open(
    "main",
    { host: "127.0.0.1", port: server.port, ...(user === undefined ? {} : { user, password: "pw" }) },
    MARK,
    never,
  );

const outcomeOf = async (applied: Promise<void>): Promise<unknown> =>
  applied.then(() => "applied").catch((fault: unknown) => fault);

test("mark-with-data: a group, in several databases, and the mark in database 0", async () => {
  await using server = await RedisServer.start();
  const target = await open(server);
  expect([target.position, target.version]).toEqual([null, 70_015]);
  await target.apply(null, group(["SET", "a", "1"], ["SELECT", 3], ["INCR", "n"]), at(10));
  await target.apply(at(10), group(["INCR", "b"], ["SELECT", 3], ["INCR", "n"]), at(20));
  await target.apply(at(20), group(), at(30));
  expect(target.position).toEqual(at(30));
  const [zero, three] = [server.client(), server.client(3)];
  expect([await zero.get(MARK), await zero.get("a"), await zero.get("b"), await three.get("n")]).toEqual([
    formatMark(at(30)),
    "1",
    "1",
    "2",
  ]);
  expect(await three.dbsize()).toBe(1);
  target.close();
});

// Mutation of the second refusal: watched-transaction.ts, `apply` does not compare `expected` with the mark that it read last.
test("one-writer-per-lane, applied-once: a writer that slept through another's transaction changes nothing: its own answers nil", async () => {
  await using server = await RedisServer.start();
  const sleeper = await open(server);
  await sleeper.apply(null, group(["INCR", "n"]), at(10));
  const owner = await open(server);
  await owner.apply(at(10), group(["INCR", "n"]), at(20));
  const woken = await outcomeOf(sleeper.apply(at(10), group(["INCR", "n"], ["SET", "zombie", "1"]), at(20)));
  expect(woken).toMatchObject({ code: "DST-008", message: expect.stringContaining(formatMark(at(20))) as string });
  // Nor does it by asking once more, although the mark has not moved since.
  expect(await outcomeOf(sleeper.apply(at(10), group(["INCR", "n"]), at(20)))).toMatchObject({ code: "DST-008" });
  const client = server.client();
  expect([await client.get("n"), await client.exists("zombie"), await client.get(MARK)]).toEqual(["2", 0, formatMark(at(20))]);
  await owner.apply(at(20), group(["INCR", "n"]), at(30));
  expect(await client.get("n")).toBe("3");
  for (const target of [sleeper, owner]) target.close();
});

test("applied-once: of two writers that race for every position, one wins each, and every increment happens once", async () => {
  await using server = await RedisServer.start();
  const first = await open(server);
  await first.apply(null, group(), at(0));
  first.close();
  const work = async (): Promise<number> => {
    let won = 0;
    let target = await open(server);
    for (let position = target.position; position !== null && position.offset < 200; position = target.position) {
      const { offset } = position;
      const outcome = await outcomeOf(target.apply(position, group(["INCR", "n"], ["RPUSH", "l", offset]), at(offset + 1)));
      if (outcome === "applied") won++;
      else {
        expect(outcome).toMatchObject({ code: "DST-008" });
        target.close();
        target = await open(server);
      }
    }
    target.close();
    return won;
  };
  const wins = await Promise.all([work(), work(), work()]);
  expect(wins.reduce((a, b) => a + b, 0)).toBe(200);
  const client = server.client();
  expect(await client.get("n")).toBe("200");
  expect(await client.lrange("l", 0, -1)).toEqual(Array.from({ length: 200 }, (_, n) => String(n)));
});

test("one-writer-per-lane: where the mark can't be watched any more, nothing is sent", async () => {
  await using server = await RedisServer.start();
  const client = server.client();
  await client.call("ACL", "SETUSER", "w", "on", ">pw", "~*", "+@all");
  const target = await open(server, "w");
  await target.apply(null, group(["INCR", "n"]), at(10));
  await client.call("ACL", "SETUSER", "w", "-watch");
  await target.apply(at(10), group(["INCR", "n"]), at(20));
  // The mark is where this writer read it, and moves unnoticed by a connection that does not watch it.
  await client.call("ACL", "SETUSER", "w", "+watch");
  const other = await open(server);
  const raced = target.apply(at(20), group(["INCR", "n"]), at(30));
  const outcome = await outcomeOf(raced);
  expect(outcome).toMatchObject({ name: "Halt", code: "DST-002" });
  expect(await client.get("n")).toBe("2");
  await other.apply(at(20), group(["INCR", "n"]), at(30));
  expect(await client.get("n")).toBe("3");
  for (const each of [target, other]) each.close();
});

test("mark-with-data: where MULTI is refused any more, nothing is sent", async () => {
  await using server = await RedisServer.start();
  const client = server.client();
  await client.call("ACL", "SETUSER", "w", "on", ">pw", "~*", "+@all");
  const target = await open(server, "w");
  await target.apply(null, group(["INCR", "n"]), at(10));
  await client.call("ACL", "SETUSER", "w", "-multi");
  const outcomes = [
    await outcomeOf(target.apply(at(10), group(["INCR", "n"]), at(20))),
    await outcomeOf(target.apply(target.position, group(["INCR", "n"]), at(30))),
  ];
  expect(outcomes.at(-1)).toMatchObject({ name: "Halt", code: "DST-002" });
  const applied = outcomes.filter((outcome) => outcome === "applied").length;
  expect([await client.get("n"), await client.get(MARK)]).toEqual([String(1 + applied), formatMark(at(10 + applied * 10))]);
  target.close();
});

test("a command that the server would not queue refuses the whole group, and the next group is taken", async () => {
  await using server = await RedisServer.start();
  const target = await open(server);
  await target.apply(null, group(), at(10));
  const refused = await outcomeOf(target.apply(at(10), group(["SET", "a", "1"], ["NOSUCH", "x"], ["SET", "b", "1"]), at(20)));
  expect(refused).toMatchObject({ name: "GroupRefused", error: expect.stringContaining("unknown command 'NOSUCH'") as string });
  // The server quotes the arguments: they stay out of what is told.
  expect(describeFault(refused)).toBe("refused: ERR unknown command 'NOSUCH'");
  const fault = destinationFault("main", new ReplyError("ERR unknown command 'X', with args beginning with: 'user:7' "));
  expect(describeFault(fault)).toBe("destination main answered ERR unknown command 'X'");
  const client = server.client();
  expect([await client.keys("*"), target.position]).toEqual([[MARK], at(10)]);
  await target.apply(at(10), group(["SET", "a", "2"]), at(20));
  expect(await client.get("a")).toBe("2");
  target.close();
});

test("loud: an error inside EXEC is reported: the rest of the group and the mark are there", async () => {
  await using server = await RedisServer.start();
  const client = server.client();
  await client.rpush("list", "x");
  const target = await open(server);
  const outcome = await outcomeOf(
    target.apply(null, group(["SET", "a", "1"], ["INCR", "list"], ["INCR", "a"], ["HSET", "list", "f", "v"]), at(10)),
  );
  expect(outcome).toMatchObject({ name: "Halt", code: "DST-004", message: expect.stringContaining("WRONGTYPE") as string });
  expect((outcome as Error).message).toContain("and 1 more");
  expect([await client.get("a"), await client.get(MARK)]).toEqual(["2", formatMark(at(10))]);
  target.close();
});

test("out of memory: waited for, nothing of the group is there, and it goes on once there is room", async () => {
  await using server = await RedisServer.start({ config: { "maxmemory-policy": "noeviction" } });
  const client = server.client();
  const target = await open(server);
  await target.apply(null, group(["SET", "a", "1"]), at(10));
  await client.config("SET", "maxmemory", "1");
  const write = (): Request => group(["DEL", "a"], ["SET", "b", "1"]);
  expect(await outcomeOf(target.apply(at(10), write(), at(20)))).toMatchObject({
    name: "Retryable",
    code: "DST-003",
    endpoint: "destination main",
  });
  expect([await client.get("a"), await client.exists("b"), await client.get(MARK)]).toEqual(["1", 0, formatMark(at(10))]);
  await client.config("SET", "maxmemory", "0");
  await target.apply(at(10), write(), at(20));
  expect([await client.exists("a"), await client.get("b")]).toEqual([0, "1"]);
  target.close();
});

test("a destination that became a read-only replica is waited for", async () => {
  await using server = await RedisServer.start();
  const client = server.client();
  const target = await open(server);
  await target.apply(null, group(), at(10));
  await client.replicaof("127.0.0.1", "1");
  expect(await outcomeOf(target.apply(at(10), group(["SET", "a", "1"]), at(20)))).toMatchObject({
    name: "Retryable",
    code: "DST-003",
  });
  await client.replicaof("NO", "ONE");
  await target.apply(at(10), group(["SET", "a", "1"]), at(20));
  target.close();
});

test("a destination that is busy with a script is waited for", async () => {
  await using server = await RedisServer.start({ config: { "busy-reply-threshold": "1" } });
  const client = server.client();
  const target = await open(server);
  await target.apply(null, group(["SET", "a", "1"]), at(10));
  const [prober, killer] = [server.client(), server.client()];
  await Promise.all([prober.ping(), killer.ping()]);
  const script = client.eval("while true do end", 0).catch((error: unknown) => String(error));
  await waitUntil("the script runs", async () =>
    prober.get("a").then(
      () => false,
      (error: unknown) => String(error).includes("BUSY"),
    ),
  );
  expect(await outcomeOf(target.apply(at(10), group(["INCR", "a"]), at(20)))).toMatchObject({
    name: "Retryable",
    code: "DST-003",
  });
  await killer.call("SCRIPT", "KILL");
  expect(await script).toContain("killed");
  expect(await client.get("a")).toBe("1");
  target.close();
  const next = await open(server);
  await next.apply(at(10), group(["INCR", "a"]), at(20));
  expect(await client.get("a")).toBe("2");
  next.close();
});

test("applied-once: a connection that is cut mid-flight leaves the outcome to the mark, which tells the truth", async () => {
  await using server = await RedisServer.start();
  const client = server.client();
  const killer = server.client();
  await killer.ping();
  let offset = 0;
  let target = await open(server);
  await target.apply(null, group(), at(0));
  for (let round = 0; round < 40; round++) {
    const commands = Array.from({ length: 1 + round * 20 }, () => ["INCR", "n"]);
    const cut = killer.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    const outcome = await outcomeOf(target.apply(at(offset), group(...commands), at(offset + commands.length)));
    await cut;
    if (outcome !== "applied") expect(outcome).toMatchObject({ name: "Retryable", code: "DST-001" });
    target.close();
    target = await open(server);
    offset = target.position?.offset ?? -1;
    expect(Number((await client.get("n").catch(async () => client.get("n"))) ?? 0)).toBe(offset);
  }
  target.close();
});

// Mutation: watched-transaction.ts, the mark is set behind EXEC: it says that the group is still to come.
test("mark-with-data, applied-once: a server that takes nothing more behind EXEC holds the mark with the data", async () => {
  await using server = await RedisServer.start();
  const target = await open(server);
  await target.apply(null, group(), at(10));
  // Inside the transaction it closes its own connection, as soon as EXEC is answered.
  const id = /\bid=(\d+) [^\n]*name=sluice-writer/.exec(String(await server.client().call("CLIENT", "LIST")))?.[1] ?? "";
  const outcome = await outcomeOf(
    target.apply(at(10), group(["INCR", "n"], ["CLIENT", "KILL", "ID", id, "SKIPME", "no"]), at(20)),
  );
  expect(outcome).toMatchObject({ name: "Retryable", code: "DST-001" });
  expect(await server.client().mget("n", MARK)).toEqual(["1", formatMark(at(20))]);
  target.close();
});

test("a mark that was deleted or overwritten by hand: nothing is applied, and what stands there halts", async () => {
  await using server = await RedisServer.start();
  const client = server.client();
  const target = await open(server);
  await target.apply(null, group(["INCR", "n"]), at(10));
  await client.del(MARK);
  expect(await outcomeOf(target.apply(at(10), group(["INCR", "n"]), at(20)))).toMatchObject({
    code: "DST-008",
    message: expect.stringContaining("mark none") as string,
  });
  expect(await client.get("n")).toBe("1");
  await client.set(MARK, "garbage");
  const next = await open(server);
  expect(() => next.position).toThrow(expect.objectContaining({ name: "Halt", code: "DST-005" }));
  for (const each of [target, next]) each.close();
});

test("a group of 100 000 commands, and a value of 64 MB", async () => {
  await using server = await RedisServer.start();
  const target = await open(server);
  const many = new Request();
  const raw = encodeCommand(["INCR", "n"]);
  many.addRaw(Buffer.concat(Array.from({ length: 100_000 }, () => raw)), 100_000);
  await target.apply(null, many, at(10));
  const large = new Request();
  large.addWithPieces(["SET", "big"], [Buffer.alloc(32 * 1024 * 1024, 97), Buffer.alloc(32 * 1024 * 1024, 98)], []);
  await target.apply(at(10), large, at(20));
  const client = server.client();
  expect([await client.get("n"), await client.strlen("big"), await client.get(MARK)]).toEqual([
    "100000",
    64 * 1024 * 1024,
    formatMark(at(20)),
  ]);
  target.close();
});

test("wrong credentials and missing permissions halt, an address where nobody listens is waited for", async () => {
  await using server = await RedisServer.start();
  const client = server.client();
  await client.call("ACL", "SETUSER", "w", "on", ">pw", "~*", "+@all", "-multi");
  await expect(open(server, "w")).rejects.toMatchObject({ name: "Halt", code: "DST-002" });
  await expect(open(server, "nobody")).rejects.toMatchObject({ name: "Halt", code: "DST-002" });
  await expect(StandaloneDestination.open("main", { host: "127.0.0.1", port: 1 }, MARK, never)).rejects.toMatchObject({
    name: "Retryable",
    code: "DST-001",
  });
});

test("mark-with-data: a connection that served one mark serves another, guarded, and the former transaction is given up", async () => {
  await using server = await RedisServer.start();
  const connection = await Connection.open({ host: "127.0.0.1", port: server.port });
  const first = await WatchedTransaction.open(connection, "mark:1");
  expect(await first.apply(null, group(["INCR", "a"]), "1")).toEqual({ outcome: "applied", errors: [] });
  const second = await WatchedTransaction.reopen(connection, "mark:2");
  expect(await second.apply(null, group(["INCR", "b"]), "1")).toEqual({ outcome: "applied", errors: [] });
  const third = await WatchedTransaction.reopen(connection, "mark:1");
  const client = server.client();
  await client.set("mark:1", "another's");
  expect(await third.apply("1", group(["INCR", "a"]), "2")).toEqual({ outcome: "stale", found: "another's" });
  expect(await client.mget("a", "b", "mark:1", "mark:2")).toEqual(["1", "1", "another's", "1"]);
  connection.close();
});

// Mutation: standalone-destination.ts, `requireDatabase` takes every error for a database that is not there: the lane halts with DST-010.
test("a server that is busy says nothing of its databases: it is waited for, and then one that it has is used", async () => {
  await using server = await RedisServer.start({ config: { "busy-reply-threshold": "1" } });
  const target = await open(server);
  const watcher = server.client();
  const spinning = server.client(1).eval("while true do end", 0);
  const ended = spinning.then(
    () => "ended",
    () => "killed",
  );
  await waitUntil("the script holds the server up", async () =>
    watcher.ping().then(
      () => false,
      (cause: unknown) => String(cause).includes("BUSY"),
    ),
  );
  const first = await outcomeOf(target.apply(null, group(["SELECT", 1], ["INCR", "n"]), at(10)));
  expect(first).toMatchObject({ code: "DST-003", name: "Retryable" });
  await watcher.script("KILL");
  expect(await ended).toBe("killed");
  const again = await open(server);
  await again.apply(null, group(["SELECT", 1], ["INCR", "n"]), at(10));
  expect(await server.client(1).get("n")).toBe("1");
  target.close();
  again.close();
});

// Mutation: standalone-destination.ts, `requireDatabase` throws nothing: SELECT fails inside the transaction, and SET writes into database 0.
test("loud: a unit for a database that the server does not have is refused before anything of it is written", async () => {
  await using server = await RedisServer.start();
  const target = await open(server);
  await target.apply(null, group(), at(10));
  const write = async (): Promise<unknown> => outcomeOf(target.apply(at(10), group(["SELECT", 99], ["SET", "a", "1"]), at(20)));
  // What was refused once is not taken for known.
  for (const refused of [await write(), await write()])
    expect(refused).toMatchObject({ name: "Halt", code: "DST-010", message: expect.stringContaining("database 99") as string });
  const client = server.client();
  expect([await client.keys("*"), await client.get(MARK)]).toEqual([[MARK], formatMark(at(10))]);
  target.close();
});

// Mutations: standalone-destination.ts, `isEmpty` looks at database 0 only, or counts its keys without asking whose they are.
test.each([
  ["nothing at all", [], [], true],
  ["a mark", [MARK], [], true],
  ["a key beside the mark", [MARK, "a"], [], false],
  ["a key in another database alone", [], ["a"], false],
  ["a mark, and a key in another database", [MARK], ["a"], false],
])("keys of others are seen in every database: a server that holds %s", async (_, inFirst, inThird, isEmpty) => {
  await using server = await RedisServer.start();
  for (const key of inFirst) await server.client().set(key, "1");
  for (const key of inThird) await server.client(3).set(key, "1");
  const target = await open(server);
  expect(await target.isEmpty()).toBe(isEmpty);
  target.close();
});
