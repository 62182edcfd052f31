import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { diffCanonical } from "../compare/diff-canonical.ts";
import { readCanonical } from "../compare/read-canonical.ts";
import { openClient } from "../servers/open-client.ts";
import { RedisServer } from "../servers/redis-server.ts";
import { fixtureVersions, laterVersions, loadExpected, loadRecording, rdbPath } from "./fixtures.ts";
import { RecordedPrimary } from "./recorded-primary.ts";

const expectedOf = { replication: "expected-after", "replication-diskless": "expected-after-diskless" } as const;

describe.concurrent("RecordedPrimary feeds a real replica", () => {
  const cases: [keyof typeof expectedOf, number[]][] = [
    ["replication", []],
    ["replication-diskless", []],
    ["replication", [1]],
    ["replication-diskless", [7, 1, 4000]],
  ];
  test.each(cases)("%s in chunks of %j", async (recording, chunkSizes) => {
    await using primary = await RecordedPrimary.start({ version: "7.0.15", recording, chunkSizes });
    await using replica = await RedisServer.start({ replicaOf: primary });
    await primary.waitForAck(primary.finalOffset, 30_000);
    const expected = loadExpected("7.0.15", expectedOf[recording]);
    expect(expected.keys.length).toBeGreaterThan(100);
    expect(diffCanonical(expected, await readCanonical(replica.client()))).toEqual([]);
    expect(primary.fullSyncs).toBe(1);
  });

  test.each(fixtureVersions)("both recordings of %s, to a replica of 7.0", async (version) => {
    for (const recording of ["replication", "replication-diskless"] as const) {
      await using primary = await RecordedPrimary.start({ version, recording });
      await using replica = await RedisServer.start({ replicaOf: primary });
      await primary.waitForAck(primary.finalOffset);
      const content = await readCanonical(replica.client());
      // Up to 6.2 a stream has relative expiries, which count from the replay, and a pending entry may outlive its stream entry.
      const isExact = version === "7.0.15";
      const differences = diffCanonical(loadExpected(version, expectedOf[recording]), content, {
        ignore: ["seenTime", "activeTime", "entriesRead", ...(isExact ? [] : (["deletedPending"] as const))],
        expiryMayBeLaterByMs: isExact ? 0 : Date.now() - loadRecording(version, recording).recordedAt.startMs,
      });
      expect(differences).toEqual([]);
    }
  });

  test("a replica that lost the link continues in the middle", async () => {
    await using primary = await RecordedPrimary.start({ version: "7.0.15", rdb: rdbPath("7.0.15") });
    await using replica = await RedisServer.start({ replicaOf: primary });
    const select = Buffer.from("*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n");
    const increment = Buffer.from("*2\r\n$4\r\nINCR\r\n$7\r\ncounted\r\n");
    primary.append(select);
    primary.append(increment);
    await primary.waitForAck(primary.finalOffset);
    primary.disconnectAll();
    primary.append(increment);
    primary.append(increment);
    await primary.waitForAck(primary.finalOffset);
    expect(await replica.client().get("counted")).toBe("3");
    expect([primary.fullSyncs, primary.partialSyncs]).toEqual([1, 1]);
    expect(
      primary.acks
        .map((ack) => ack.offset)
        .toSorted((a, b) => a - b)
        .at(-1),
    ).toBe(select.length + 3 * increment.length);
  });

  test.each(fixtureVersions)("serves the RDB file of %s, in both forms", async (version) => {
    const expected = loadExpected(version, "expected");
    for (const recording of ["replication", "replication-diskless"] as const) {
      await using primary = await RecordedPrimary.start({ version, recording, rdb: rdbPath(version) });
      await using replica = await RedisServer.start({ replicaOf: primary });
      await primary.waitForAck(primary.finalOffset);
      await replica.waitForSync();
      expect(diffCanonical(expected, await readCanonical(replica.client()))).toEqual([]);
    }
  });
});

describe("RecordedPrimary answers", () => {
  test.each([...fixtureVersions, ...laterVersions])("the handshake as %s did", async (version) => {
    await using primary = await RecordedPrimary.start({ version });
    const { handshake, content } = loadRecording(version, "replication");
    const sent = handshake.map(({ sent: args }) => `${args.join(" ")}\r\n`).join("");
    const replies = handshake.slice(0, -1).map(({ reply }) => `${reply}\r\n`);
    const whole = Buffer.concat([Buffer.from(replies.join("")), content]);
    expect((await talk(primary.port, sent, whole.length)).equals(whole)).toBe(true);
  });

  test.each(["2.8.24", "3.2.13", "4.0.14", "7.0.15"] as const)("a partial resync as %s does", async (version) => {
    await using primary = await RecordedPrimary.start({ version });
    const { content, bytes } = loadRecording(version, "replication");
    const rest = content.subarray(bytes.streamStart + 1000);
    const line = version >= "4" ? `+CONTINUE ${primary.replid}\r\n` : "+CONTINUE\r\n";
    const whole = Buffer.concat([Buffer.from(`+OK\r\n${line}`), rest]);
    const sent = `REPLCONF capa psync2\r\nPSYNC ${primary.replid} ${primary.startOffset + 1001}\r\n`;
    expect((await talk(primary.port, sent, whole.length)).equals(whole)).toBe(true);
  });

  test("a diskless stream only after an acknowledgement, an unknown option with an error", async () => {
    await using primary = await RecordedPrimary.start({ version: "6.2.16", recording: "replication-diskless" });
    const { content, bytes } = loadRecording("6.2.16", "replication-diskless");
    const head = await talk(primary.port, "REPLCONF version 8.0\r\nPSYNC ? -1\r\n", bytes.streamStart);
    expect(head.toString("latin1", 0, 46)).toContain("-ERR Unrecognized REPLCONF option: version\r\n");
    expect(primary.acks).toEqual([]);
    const all = await talk(primary.port, "PSYNC ? -1\r\nREPLCONF ACK 0\r\n", content.length);
    expect(all.equals(content)).toBe(true);
    expect(primary.acks.map((ack) => ack.offset)).toEqual([0]);
  });

  test("a promoted replica's answers: the former history is continued up to where it was promoted", async () => {
    await using primary = await RecordedPrimary.start({ version: "7.0.15" });
    const [former, promotedAt] = [primary.replid, primary.finalOffset - 100];
    primary.failOver(promotedAt);
    expect([primary.replid === former, primary.finalOffset]).toEqual([false, promotedAt]);
    const psync = async (id: string, offset: number): Promise<string> => {
      const answer = await talk(primary.port, `REPLCONF capa psync2\r\nPSYNC ${id} ${offset}\r\n`, 5 + 50);
      return answer.toString("latin1", 5).split("\r\n")[0] ?? "";
    };
    expect(await psync(former, promotedAt + 1)).toBe(`+CONTINUE ${primary.replid}`);
    expect(await psync(former, promotedAt + 2)).toContain(`+FULLRESYNC ${primary.replid.slice(0, 30)}`);
    primary.forgetBefore(promotedAt);
    expect(await psync(primary.replid, promotedAt)).toBe(`+CONTINUE ${primary.replid}`);
    expect(await psync(primary.replid, promotedAt - 1)).toContain("+FULLRESYNC");
    expect(primary.psyncs).toEqual([former, former, primary.replid, primary.replid]);
    const client = openClient(primary.url);
    const info = await client.info("replication");
    expect(info).toContain(`role:master\r\n`);
    expect(info).toContain(`master_replid2:${former}\r\n`);
    expect(info).toContain(`second_repl_offset:${promotedAt + 1}\r\n`);
    expect(info).toContain(`repl_backlog_first_byte_offset:${promotedAt}\r\n`);
    primary.pretendReplica(true);
    expect(await client.info("replication")).toContain("role:slave\r\n");
    client.disconnect();
  });

  test("an ordinary client's questions", async () => {
    await using primary = await RecordedPrimary.start({ version: "6.2.16" });
    const client = openClient(primary.url);
    expect(await client.ping()).toBe("PONG");
    expect(await client.info("server")).toContain("redis_version:6.2.16\r\n");
    expect(await client.info("replication")).toContain(`master_replid:${primary.replid}\r\nmaster_replid2`);
    expect(await client.info("replication")).toContain(`master_repl_offset:${primary.finalOffset}\r\n`);
    expect(await client.config("GET", "databases")).toEqual(["databases", "16"]);
    expect(await client.role()).toEqual(["master", primary.finalOffset, []]);
    await expect(client.get("key")).rejects.toThrow("unknown command");
    client.disconnect();
  });
});

/** Sends `text` and returns the first `length` bytes that come. */
function talk(port: number, text: string, length: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`closed after ${received.length} of ${length} bytes`)));
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < length) return;
      resolve(received.subarray(0, length));
      socket.destroy();
    });
  });
}
