import { loadRecording, RecordedPrimary, type FixtureVersion, type RecordedPrimaryOptions } from "@sluice/testkit";
import { expect, test } from "vitest";
import { ReplicaLink, type ReplicationCommands } from "./replica-link.ts";

const never = new AbortController().signal;

async function linkTo(primary: RecordedPrimary, commands: ReplicationCommands = {}): Promise<ReplicaLink> {
  return ReplicaLink.open("s0", { host: "127.0.0.1", port: primary.port }, never, commands);
}

/** Asks for a full copy, and takes so many bytes behind the reply. */
async function fullCopy(link: ReplicaLink, bytes: number): Promise<Buffer> {
  await link.facts();
  expect(await link.psync(null, 0)).toMatchObject({ kind: "full" });
  const received: Buffer[] = [];
  for await (const chunk of link.chunks()) {
    received.push(chunk);
    link.keepAlive();
    if (Buffer.concat(received).length >= bytes) break;
  }
  link.close();
  return Buffer.concat(received);
}

const version: FixtureVersion = "7.0.15";

// Mutations: replica-link.ts, `psync` that sends PSYNC; `keepAlive` that sends REPLCONF; `open` without `commands`.
test("a source that has renamed PSYNC and REPLCONF: halts with the option's name, and goes on with it", async () => {
  const renamed = { PSYNC: "SYNC-a1", REPLCONF: "CONF-b2" };
  await using primary = await RecordedPrimary.start({ version, recording: "replication-diskless", renamed });
  const wanted = { name: "Halt", code: "SRC-021" };
  const refused = async (commands: ReplicationCommands): Promise<unknown> =>
    linkTo(primary, commands)
      .then(async (link) => link.psync(null, 0).finally(() => link.close()))
      .catch((fault: unknown) => fault);
  expect(await refused({})).toMatchObject({
    ...wanted,
    message: expect.stringContaining("`source.commands.replconf`") as string,
  });
  const psync = await refused({ replconf: "CONF-b2" });
  expect(psync).toMatchObject({ ...wanted, message: expect.stringContaining("`source.commands.psync`") as string });
  const link = await linkTo(primary, { psync: "SYNC-a1", replconf: "CONF-b2" });
  const { content, bytes } = loadRecording(version, "replication-diskless");
  // Behind a diskless RDB the stream comes with the first acknowledgement alone.
  const reply = content.indexOf("\r\n", content.indexOf("+FULLRESYNC")) + 2;
  const received = await fullCopy(link, content.length - reply);
  expect(received.subarray(bytes.rdbStart - reply).equals(content.subarray(bytes.rdbStart))).toBe(true);
  expect(primary.acks.every(({ offset }) => offset === 0)).toBe(true);
});

// Mutations: psync-reply.ts, "NOMASTERLINK" out of NOT_READY; NO_PRIMARY that matches nothing; "DENIED" out of DENIED.
test.each([
  ["PSYNC", "-LOADING Redis is loading the dataset in memory", "Retryable", "SRC-003"],
  ["PING", "-LOADING Redis is loading the dataset in memory", "Retryable", "SRC-003"],
  ["PSYNC", "-NOMASTERLINK Can't SYNC while not connected with my master", "Retryable", "SRC-003"],
  ["PSYNC", "-ERR Can't SYNC while not connected with my master", "Retryable", "SRC-003"],
  ["PSYNC", "-BUSY Redis is busy running a script.", "Retryable", "SRC-003"],
  ["PING", "-MASTERDOWN Link with MASTER is down", "Retryable", "SRC-003"],
  ["PSYNC", "-NOREPLICAS Not enough good replicas to write.", "Retryable", "SRC-003"],
  ["PSYNC", "-ERR SYNC and PSYNC are invalid with pending output", "Retryable", "SRC-001"],
  ["PSYNC", "-NOPERM this user has no permissions to run the 'psync' command", "Halt", "SRC-002"],
  ["REPLCONF", "-NOPERM this user has no permissions to run the 'replconf' command", "Halt", "SRC-002"],
  ["PING", "-NOAUTH Authentication required.", "Halt", "SRC-002"],
  ["PING", "-DENIED Redis is running in protected mode", "Halt", "SRC-002"],
])("%s answered by %s: %s %s", async (name, line, type, code) => {
  const inPlaceOf: RecordedPrimaryOptions["inPlaceOf"] = ([first]) => (first === name ? `${line}\r\n` : null);
  await using primary = await RecordedPrimary.start({ version, inPlaceOf });
  const asked = linkTo(primary).then(async (link) => link.psync(null, 0).finally(() => link.close()));
  await expect(asked).rejects.toMatchObject({ name: type, code });
});

// Mutations: replica-link.ts, `#say` that throws what is refused; all options in one REPLCONF; PING whose NOPERM throws.
test("what a source refuses of the handshake it is linked to without: every option, and PING", async () => {
  const inPlaceOf: RecordedPrimaryOptions["inPlaceOf"] = ([name, option = ""]) => {
    if (name === "PING") return "-NOPERM this user has no permissions to run the 'ping' command\r\n";
    return name === "REPLCONF" && option !== "ACK" ? `-ERR Unrecognized REPLCONF option: ${option}\r\n` : null;
  };
  await using primary = await RecordedPrimary.start({ version, inPlaceOf });
  const link = await linkTo(primary);
  expect(await link.askRdbOnly()).toBe(false);
  expect((await fullCopy(link, 1000)).length).toBeGreaterThan(999);
});

test.each([
  { from: "2.8.24", recording: "replication-diskless", where: "before the reply" },
  { from: "7.0.15", recording: "replication", where: "behind the reply" },
] as const)("$from $recording: newlines $where, byte by byte", async ({ from, recording }) => {
  await using primary = await RecordedPrimary.start({ version: from, recording, chunkSizes: [1] });
  const { content, bytes } = loadRecording(from, recording);
  expect(content.subarray(0, bytes.header).toString("latin1")).toMatch(/^\n\+|\r\n\n$/);
  const link = await linkTo(primary);
  const reply = content.indexOf("\r\n", content.indexOf("+FULLRESYNC")) + 2;
  const received = await fullCopy(link, bytes.rdbEnd - reply);
  expect(received.subarray(0, bytes.rdbEnd - reply).equals(content.subarray(reply, bytes.rdbEnd))).toBe(true);
});

// Mutations: replica-link.ts, no version said; said to every source; said where the stream is continued; `facts` that forgets it.
test.each([
  ["valkey-9.1.2", ["9.1.2"]],
  ["valkey-8.1.1", []],
  ["7.4.1", []],
] as const)("%s is told the version of Valkey for a full copy where it looks at it: %j", async (from, wanted) => {
  const said: (string | undefined)[] = [];
  const inPlaceOf: RecordedPrimaryOptions["inPlaceOf"] = ([name, option, value]) => {
    if (name === "REPLCONF" && option === "version") said.push(value);
    return null;
  };
  await using primary = await RecordedPrimary.start({ version: from, inPlaceOf });
  const link = await linkTo(primary);
  await link.facts();
  expect(await link.psync(primary.replid, primary.finalOffset)).toMatchObject({ kind: "continue" });
  link.close();
  expect([said, link.saidVersion]).toEqual([[], false]);
  const other = await linkTo(primary);
  await fullCopy(other, 100);
  expect([said, other.saidVersion]).toEqual([wanted, wanted.length > 0]);
});
