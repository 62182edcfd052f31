import { diffCanonical, Random, rdbFixtures, readCanonical, RedisServer, type RdbFixture } from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readDumpPayload } from "../rdb/dump-payload.ts";
import { elementCommands, type ElementCommandOptions } from "./index.ts";
import { rdbKeys } from "./rdb-keys.sample.ts";

const TEMPORARY = Buffer.from("temporary");
/** What the servers of these tests are: the newest that is under a free licence. */
const DESTINATION = { version: 70_015, isValkey: false };

let server: RedisServer;
beforeAll(async () => void (server = await RedisServer.start()));
afterAll(async () => server[Symbol.asyncDispose]());

type Limits = Pick<ElementCommandOptions, "maxBytes" | "maxElements">;

/** Builds every key of an RDB file with commands only; how often the server lacked what. */
async function build({ bytes }: RdbFixture, limits: Limits): Promise<Record<string, number>> {
  const client = server.client();
  await client.flushall();
  const lacking: Record<string, number> = {};
  const lacks = (what: string): void => void (lacking[what] = (lacking[what] ?? 0) + 1);
  for (const { db, key, type, expireAtMs, value } of rdbKeys(bytes, { partBytes: 4000 })) {
    const pipeline = client.pipeline().select(db);
    const expected: (number | undefined)[] = [undefined];
    const commands = [...elementCommands(type, value, { key: TEMPORARY, destination: DESTINATION, lacks, ...limits })];
    for (const command of commands) {
      pipeline.call(...(command as [string, ...Buffer[]]));
      expected.push(command[0] === "XCLAIM" ? command.lastIndexOf("TIME") - 5 : undefined);
    }
    if (commands.length > 0) pipeline.rename(TEMPORARY, key);
    if (expireAtMs >= 0) pipeline.pexpireat(key, expireAtMs);
    const replies = (await pipeline.exec()) ?? [];
    for (const [index, [error, reply]] of replies.entries()) {
      expect(error, `${key.toString("latin1")} ${String(commands[index - 1]?.slice(0, 5))}`).toBeNull();
      // XCLAIM answers what it claimed.
      expect(Array.isArray(reply) ? reply.length : 0).toBeGreaterThanOrEqual(expected[index] ?? 0);
    }
  }
  return lacking;
}

const fixtures = rdbFixtures();

// Mutation: element-commands.ts, a stream without the ids that are pending; collection-commands.ts, a string's second part is SET, too;
// score.ts, `inf` as `infin`.
describe("built from elements in Redis 7.0, a file's content is what its server answers", () => {
  const small = { maxBytes: 300, maxElements: 7 };
  const cases = fixtures.map((fixture) => [fixture.name, small, fixture] as const);
  const large = fixtures.filter(({ name }) => name.endsWith("/dump.rdb")).slice(-4);

  test.each([...cases, ...large.map((fixture) => [fixture.name, {}, fixture] as const)])(
    "%s %o",
    async (_, limits, fixture) => {
      const lacking = await build(fixture, limits);
      const { keys, ...rest } = fixture.expected;
      const held = keys.filter(({ type }) => (type as string) !== "vectorset");
      const expected = { ...rest, keys: held, functions: [] };
      expect(diffCanonical(expected, await readCanonical(server.client()), { ignore: ["seenTime", "activeTime"] })).toEqual([]);
      const fields = held.flatMap((key) => (key.type === "hash" ? key.value.filter(([, , at]) => at !== undefined) : []));
      expect(lacking).toEqual({
        ...(fields.length > 0 ? { "expiries of hash fields": fields.length } : {}),
        ...(held.length < keys.length ? { "values of module, which only RESTORE can carry": keys.length - held.length } : {}),
      });
    },
  );
});

/** What a stream becomes that is added to, read, acknowledged, deleted from and trimmed at random. */
async function makeStream(random: Random, key: string): Promise<void> {
  const client = server.client();
  const pipeline = client.pipeline().del(key);
  let last = 0;
  const some = (): string => `${random.between(Math.max(1, last - 8), last + 1)}-1`;
  const group = (): string => random.pick(["g", "h"]);
  const add = (): void => void pipeline.xadd(key, `${(last += random.between(1, 2))}-1`, "f", String(last));
  add();
  pipeline.xgroup("CREATE", key, "g", "0").xgroup("CREATE", key, "h", "$");
  for (let step = 0; step < 40; step++) {
    const dice = random.between(0, 11);
    if (dice < 4) add();
    else if (dice < 7) {
      pipeline.xreadgroup("GROUP", group(), random.pick(["a", "b"]), "COUNT", random.between(1, 4), "STREAMS", key, ">");
    } else if (dice === 7) pipeline.xack(key, group(), some());
    else if (dice === 8) pipeline.xdel(key, some());
    else if (dice === 9) pipeline.xtrim(key, "MINID", `${Math.max(1, last - random.between(0, 9))}-1`);
    else if (dice === 10 && random.chance(0.1)) pipeline.xtrim(key, "MAXLEN", 0);
    else pipeline.xgroup("CREATECONSUMER", key, group(), random.pick(["a", "b", "c"]));
  }
  await pipeline.exec();
}

// Mutation: stream-commands.ts, no XSETID at the end, XDEL in place of XTRIM, or MAXDELETEDID left out.
test("streams of every history are built as they are, what is pending although deleted included", async () => {
  const random = new Random(5);
  const client = server.client();
  await client.flushall();
  let deletedPending = 0;
  for (let round = 0; round < 60; round++) {
    await makeStream(random, `source ${round}`);
    const { type, value } = readDumpPayload(await client.dumpBuffer(`source ${round}`));
    const pipeline = client.pipeline();
    const lacks = (what: string): void => expect(what).toBe("nothing");
    for (const command of elementCommands(type, [value], {
      key: Buffer.from(`copy ${round}`),
      destination: DESTINATION,
      lacks,
    })) {
      deletedPending += command[0] === "XADD" && String(command[3]) === "-" ? 1 : 0;
      pipeline.call(...(command as [string, ...Buffer[]]));
    }
    for (const [error] of (await pipeline.exec()) ?? []) expect(error).toBeNull();
  }
  const { keys, ...rest } = await readCanonical(client);
  const named = (prefix: string): typeof keys =>
    keys.flatMap((key) => {
      const name = Buffer.from(key.key, "base64").toString();
      return name.startsWith(prefix) ? [{ ...key, key: Buffer.from(name.slice(prefix.length)).toString("base64") }] : [];
    });
  const [source, copy] = [named("source "), named("copy ")];
  expect(source.length).toBe(60);
  expect(diffCanonical({ ...rest, keys: source }, { ...rest, keys: copy }, { ignore: ["seenTime", "activeTime"] })).toEqual([]);
  expect(deletedPending).toBeGreaterThan(50);
});
