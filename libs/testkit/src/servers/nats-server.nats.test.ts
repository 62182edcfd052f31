import { readdir } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { exchange } from "./exchange.ts";
import { NatsServer } from "./nats-server.ts";

const request = (subject: string, body: string): string =>
  `CONNECT {}\r\nSUB _INBOX.t 1\r\nPUB ${subject} _INBOX.t ${body.length}\r\n${body}\r\n`;
const hasReply = (text: string): boolean => /\r\nMSG [^\r]*\r\n[^\r]*\r\n/.test(text);

describe("NatsServer", () => {
  test("keeps a stream in its store through a kill and a restart on the same port", async () => {
    await using server = await NatsServer.start();
    const { port, pid } = server;
    const create = request(
      "$JS.API.STREAM.CREATE.KEPT",
      JSON.stringify({ name: "KEPT", subjects: ["kept.>"], storage: "file" }),
    );
    expect(await exchange(port, create, hasReply)).toContain("stream_create_response");
    expect(await exchange(port, request("kept.one", "hello"), hasReply)).toContain('"seq":1');

    expect(await server.kill()).toEqual({ code: null, signal: "SIGKILL" });
    await expect(exchange(port, "PING\r\n", () => true)).rejects.toThrow("ECONNREFUSED");
    await server.restart();

    expect(server.pid).not.toBe(pid);
    expect(await exchange(port, request("$JS.API.STREAM.INFO.KEPT", ""), hasReply)).toContain('"messages":1');
    expect(await readdir(server.dir)).toContain("jetstream");
  });

  test("two servers get different ports and directories", async () => {
    await using first = await NatsServer.start();
    await using second = await NatsServer.start();
    expect(first.port).not.toBe(second.port);
    expect(first.dir).not.toBe(second.dir);
  });
});
