import { ConnectionLost, ReplyError } from "@sluice/redis";
import { Halt, Retryable } from "@sluice/runtime";
import { expect, test } from "vitest";
import { parsePsyncReply, replicationFault, sourceFault } from "./psync-reply.ts";

const REPLID = "0123456789abcdef0123456789abcdef01234567";

test("reads what a source says to PSYNC, in the forms of all versions", () => {
  expect(parsePsyncReply(`FULLRESYNC ${REPLID} 0`, "source s0")).toEqual({ kind: "full", replid: REPLID, offset: 0 });
  expect(parsePsyncReply(`FULLRESYNC ${REPLID} 9007199254740991 more`, "source s0")).toEqual({
    kind: "full",
    replid: REPLID,
    offset: 2 ** 53 - 1,
  });
  // Tair
  expect(parsePsyncReply(`FULLRESYNC ${REPLID} 17 4711 applied_info{} 0`, "source s0")).toMatchObject({
    kind: "full",
    offset: 17,
  });
  expect(parsePsyncReply("CONTINUE", "source s0")).toEqual({ kind: "continue", replid: null });
  expect(parsePsyncReply(`CONTINUE ${REPLID}`, "source s0")).toEqual({ kind: "continue", replid: REPLID });
});

test.each([
  "",
  "OK",
  "FULLRESYNC",
  `FULLRESYNC ${REPLID}`,
  `FULLRESYNC ${REPLID} -1`,
  "FULLRESYNC short 5",
  `CONTINUE ${REPLID}0`,
  "CONTINUE \u001b[2J",
])("refuses %j and shows it without control characters", (line) => {
  const read = (): unknown => parsePsyncReply(line, "source s0");
  expect(read).toThrow(expect.objectContaining({ endpoint: "source s0", code: "SRC-001" }));
  // oxlint-disable-next-line no-control-regex -- control characters are what must not be there
  expect(read).toThrow(/^[^\u0000-\u001f]*expected \+FULLRESYNC/);
});

test.each<readonly [string, typeof Retryable | typeof Halt, string]>([
  ["NOAUTH Authentication required.", Halt, "SRC-002"],
  ["WRONGPASS invalid username-password pair", Halt, "SRC-002"],
  ["NOPERM this user has no permissions", Halt, "SRC-002"],
  ["LOADING Redis is loading the dataset in memory", Retryable, "SRC-003"],
  ["NOMASTERLINK Can't SYNC while not connected with my master", Retryable, "SRC-003"],
  ["MASTERDOWN Link with MASTER is down", Retryable, "SRC-003"],
  ["BUSY Redis is busy running a script", Retryable, "SRC-003"],
  ["DENIED Redis is running in protected mode because protected mode is enabled", Halt, "SRC-002"],
  ["ERR invalid password", Halt, "SRC-002"],
  ["ERR Client sent AUTH, but no password is set", Halt, "SRC-002"],
  ["ERR wrong number of arguments for 'auth' command", Halt, "SRC-002"],
  ["ERR AUTH <password> called without any password configured for the default user.", Halt, "SRC-002"],
  ["ERR Can't SYNC while not connected with my master", Retryable, "SRC-003"],
  ["NOREPLICAS Not enough good replicas to write.", Retryable, "SRC-003"],
  ["MISCONF Redis is configured to save RDB snapshots", Retryable, "SRC-003"],
  ["ERR max number of clients reached", Retryable, "SRC-001"],
])("what an error of a source means: %s", (line, type, code) => {
  const fault = sourceFault("s0", new ReplyError(line));
  expect(fault).toBeInstanceOf(type);
  expect(fault.code).toBe(code);
});

test("what is no reply is a broken link", () => {
  expect(sourceFault("s0", new ConnectionLost({ host: "h", port: 1 }, "lost"))).toMatchObject({
    code: "SRC-001",
    endpoint: "source s0",
  });
  expect(sourceFault("s0", new Error("other"))).toBeInstanceOf(Retryable);
});

// Mutations: psync-reply.ts, UNKNOWN_COMMAND that matches "ERR unknown"; `replicationFault` returns `sourceFault` alone.
test("a command of replication that the source does not know halts, and the message names the option", () => {
  const fault = replicationFault("s0", "PSYNC", "PSYNC", new ReplyError("ERR unknown command 'PSYNC'"));
  expect(fault).toBeInstanceOf(Halt);
  expect(fault).toMatchObject({ code: "SRC-021", message: expect.stringContaining("`source.commands.psync`") as string });
  const older = replicationFault("s0", "X", "REPLCONF", new ReplyError("ERR unknown command `X`, with args beginning with: "));
  expect(older).toMatchObject({ code: "SRC-021", message: expect.stringContaining("does not know X, and") as string });
  expect(replicationFault("s0", "PSYNC", "PSYNC", new ReplyError("ERR unknown subcommand")).code).toBe("SRC-001");
  expect(replicationFault("s0", "PSYNC", "PSYNC", new ReplyError("LOADING x")).code).toBe("SRC-003");
});
