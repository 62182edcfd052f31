import { encodeCommand } from "@sluice/redis";
import { NatsServer, rdbPath, RecordedPrimary, waitUntil } from "@sluice/testkit";
import { expect, test } from "vitest";
import { bodyOf, shardOf, startIntake, storedBatches, storedUpTo } from "./running-intake.sample.ts";

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;
/** An element of COMMAND INFO as Redis 7.0 writes it, with empty lists of tips, key specifications and subcommands. */
const row = (name: string, flags: readonly string[], key: readonly number[]): string =>
  `*1\r\n*10\r\n${bulk(name)}:-2\r\n*${flags.length}\r\n${flags.map((flag) => `+${flag}\r\n`).join("")}` +
  `${key.map((at) => `:${at}\r\n`).join("")}*1\r\n+@write\r\n*0\r\n*0\r\n*0\r\n`;

const ANSWERS: Readonly<Record<string, string>> = {
  "COMMAND INFO foo.push": row("foo.push", ["write", "denyoom"], [1, 1, 1]),
  "COMMAND INFO FOO.STORE": row("foo.store", ["write", "movablekeys"], [0, 0, 0]),
  "COMMAND GETKEYSANDFLAGS FOO.STORE x b": `*1\r\n*2\r\n${bulk("b")}*2\r\n+OW\r\n+update\r\n`,
  "COMMAND INFO FOO.DENIED": "-NOPERM this user has no permissions to run the 'command|info' command\r\n",
};

const commands = (...lines: readonly string[]): Buffer => Buffer.concat(lines.map((line) => encodeCommand(line.split(" "))));

// Mutation: link-session.ts, without `learnFor` (nothing behind the first unknown write is stored).
test("unknown writes: the source is asked once for each name, on another connection, and the shard halts where it can't tell", async () => {
  await using nats = await NatsServer.start();
  const asked: string[] = [];
  const inPlaceOf = (args: readonly string[]): string | null => {
    if (args[0] !== "COMMAND") return null;
    asked.push(args.join(" "));
    return ANSWERS[args.join(" ")] ?? "*1\r\n*-1\r\n";
  };
  const stream = commands("SET a 1", "foo.push k v", "MULTI", "foo.push k w", "INCR n", "EXEC", "FOO.STORE x b");
  await using source = await RecordedPrimary.start({ version: "7.0.15", rdb: rdbPath("7.0.15"), stream, inPlaceOf });
  const intake = await startIntake(nats.url, source.port, "i1");
  await storedUpTo(intake.bus, source.finalOffset);
  source.append(commands("FOO.PUSH l v"));
  await storedUpTo(intake.bus, source.finalOffset);
  const { live } = await storedBatches(intake.bus);
  expect(bodyOf(live).toString()).toBe(
    commands(
      "SET a 1",
      "SLUICE.KEYED 1 foo.push k v",
      "SLUICE.KEYED 1 foo.push k w",
      "INCR n",
      "SLUICE.KEYED 2 FOO.STORE x b",
      "SLUICE.KEYED 1 FOO.PUSH l v",
    ).toString(),
  );
  expect(asked).toEqual(Object.keys(ANSWERS).slice(0, 3));
  source.append(commands("INCR n", "FOO.DENIED k"));
  const halt = await waitUntil("it halts", async () => (await shardOf(intake.bus))?.halt ?? null);
  expect(halt.code).toBe("SRC-006");
  expect(halt.message).toMatch(
    /s0 sent FOO\.DENIED at offset \d+, .*COMMAND INFO FOO\.DENIED: the source answered NOPERM.*\+command/,
  );
  expect([source.fullSyncs, source.partialSyncs]).toEqual([1, 0]);
  await intake.stop();
});

// Mutation: link-session.ts, `learnFor` without `#pokeLanes` (what came before it waits as long as the source does).
test("what came before an unknown write is stored while the source is asked", async () => {
  await using nats = await NatsServer.start();
  const stream = commands("SET a 1");
  const inPlaceOf = ([name]: readonly string[]): string | null => (name === "COMMAND" ? "" : null);
  await using source = await RecordedPrimary.start({ version: "7.0.15", rdb: rdbPath("7.0.15"), stream, inPlaceOf });
  const intake = await startIntake(nats.url, source.port, "i1");
  await storedUpTo(intake.bus, source.finalOffset);
  const before = commands("SET b 2");
  const wanted = source.finalOffset + before.length;
  const begunAtMs = performance.now();
  source.append(Buffer.concat([before, commands("foo.push k v")]));
  await storedUpTo(intake.bus, wanted);
  expect(performance.now() - begunAtMs).toBeLessThan(9_000);
  await intake.stop();
});
