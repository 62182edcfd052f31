import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, releasePort } from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { spawnRedis } from "../../../../tools/spawn-redis.ts";
import type { SpawnedRedis } from "../../../../tools/spawn-redis.ts";
import { encodeCommand } from "../resp/encode-command.ts";
import { ReplyError } from "../resp/reply.ts";
import { ReplyType } from "../resp/reply-framer.ts";
import { RespError } from "../resp/resp-error.ts";
import { Connection } from "./connection.ts";
import { ConnectionLost } from "./connection-lost.ts";

/** Certificates for these tests: an authority, a server `redis.test` that it signed, and an authority that nobody signed with. Valid for 100 years. */
const AUTHORITY = `-----BEGIN CERTIFICATE-----
MIIBcjCCARegAwIBAgIUfLwAkLrynviLYdsln9bvQlB8afMwCgYIKoZIzj0EAwIw
DTELMAkGA1UEAwwCY2EwIBcNMjYxMTIyMTgwOTUxWhgPMjEyNjEwMjkxODA5NTFa
MA0xCzAJBgNVBAMMAmNhMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEvMheBDIb
QJipgVK5fqVhYBw01J+hqRLD8fBsxT7FdP0t4ICNWjMhvACQAzpSTK7Dstc1yBxo
A+/MMp8gbPHmbaNTMFEwHQYDVR0OBBYEFAZD2lT2Wh0Sx/c2+W/U1mnc26ymMB8G
A1UdIwQYMBaAFAZD2lT2Wh0Sx/c2+W/U1mnc26ymMA8GA1UdEwEB/wQFMAMBAf8w
CgYIKoZIzj0EAwIDSQAwRgIhAKYD0jZ1u0UHzkOMPdx4KIJjgieON5u3azP8JELM
NxR0AiEAmpDgY58+/GfqIpfDYbX/wdB3OZH5BeCcf+TNWdCSFvQ=
-----END CERTIFICATE-----\n`;
const SERVER = `-----BEGIN CERTIFICATE-----
MIIBezCCASGgAwIBAgIUMhZDZIaLWpKTLi5R1GE/g9Fzb9gwCgYIKoZIzj0EAwIw
DTELMAkGA1UEAwwCY2EwIBcNMjYxMTIyMTgwOTUxWhgPMjEyNjEwMjkxODA5NTFa
MBExDzANBgNVBAMMBnNlcnZlcjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABA4O
+aLZohuTJFIra9JUnwD/mQxy56djHbVTphxB1ft115BK8ru9MN8D9NKZv06bbCT8
234rjwDff8KleKESi4ejWTBXMBUGA1UdEQQOMAyCCnJlZGlzLnRlc3QwHQYDVR0O
BBYEFH2KovA92gr7OSdiAdUPRIJQkLybMB8GA1UdIwQYMBaAFAZD2lT2Wh0Sx/c2
+W/U1mnc26ymMAoGCCqGSM49BAMCA0gAMEUCIQD1p+zxeE6UCZcW2UojL3VxjjL6
mI1pvLiz33+8n+Fl1AIgCTOlaCvK3WvlNBaw5xB507p402EVfW3lFEAvqeyd2lw=
-----END CERTIFICATE-----\n`;
const SERVER_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgm4wl7Kr1ijA/SpJN
myJbNuE6tcwGHnxD9TDsP2Fn9ROhRANCAAQODvmi2aIbkyRSK2vSVJ8A/5kMcuen
Yx21U6YcQdX7ddeQSvK7vTDfA/TSmb9Om2wk/Nt+K48A33/CpXihEouH
-----END PRIVATE KEY-----\n`;
const STRANGER = `-----BEGIN CERTIFICATE-----
MIIBdzCCAR2gAwIBAgIUXNTdptet/yCJZhZIqx60UHFpCQMwCgYIKoZIzj0EAwIw
EDEOMAwGA1UEAwwFb3RoZXIwIBcNMjYxMTIyMTgwOTUxWhgPMjEyNjEwMjkxODA5
NTFaMBAxDjAMBgNVBAMMBW90aGVyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
O0DQejX64j7kRHw+IZpnkcL9oG4pSGkkm0dh/cFAySz5sh1Qw31q4upB//1SxixJ
Kc8tXC/ucHOrvmNIOKdnzaNTMFEwHQYDVR0OBBYEFFF0rM7txQpLBzm83h3hcIoS
CuuOMB8GA1UdIwQYMBaAFFF0rM7txQpLBzm83h3hcIoSCuuOMA8GA1UdEwEB/wQF
MAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgX6xhBvft4PAJwYV12qxzUFXZdPAP49je
ivGhsFWwSBUCIQCk/b2RwVS8MDEYesewvAxspaM+Ln9b7kIKEBmKLa57ZA==
-----END CERTIFICATE-----\n`;

/** A server of this process: runs `onSocket` for every connection. */
async function listen(onSocket: (socket: Socket) => void): Promise<AsyncDisposable & { host: string; port: number }> {
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    onSocket(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no TCP port");
  return {
    host: "127.0.0.1",
    port: address.port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

describe("against a server", () => {
  let redis: SpawnedRedis;
  beforeAll(async () => {
    redis = await spawnRedis(["--requirepass", "secret"]);
  });
  afterAll(async () => {
    await redis[Symbol.asyncDispose]();
  });
  const open = async (): Promise<Connection> =>
    Connection.open({ host: redis.host, port: redis.port, user: "default", password: "secret" }, { name: "test" });

  test("authenticates, names itself and answers calls in order", async () => {
    const connection = await open();
    const replies = await Promise.all([
      connection.call(["CLIENT", "GETNAME"]),
      connection.call(["SET", "a", 1]),
      connection.call(["INCR", "a"]),
      connection.call(["GET", "missing"]),
    ]);
    expect(replies).toEqual([Buffer.from("test"), "OK", 2, null]);
    await expect(connection.call(["LPUSH", "a", "x"])).rejects.toMatchObject({ name: "ReplyError", code: "WRONGTYPE" });
    expect(await connection.call(["PING"])).toBe("PONG");
    connection.close();
    connection.close();
    await connection.closed;
    await expect(connection.call(["PING"])).rejects.toBeInstanceOf(ConnectionLost);
  });

  test("a refused password ends it, and no message shows the password", async () => {
    const refused: unknown = await Connection.open({ host: redis.host, port: redis.port, password: "wrong-password" }).catch(
      (error: unknown) => error,
    );
    expect(refused).toBeInstanceOf(ReplyError);
    expect(String(refused)).not.toContain("wrong-password");
    const nameless = await Connection.open({ host: redis.host, port: redis.port }, { name: "refused without AUTH" });
    await expect(nameless.call(["GET", "a"])).rejects.toMatchObject({ code: "NOAUTH" });
    nameless.close();
  });

  test("an exchange takes runs of replies and stands between calls", async () => {
    const connection = await open();
    const ok = Buffer.from("+OK\r\n");
    const queued = Buffer.from("+QUEUED\r\n");
    const count = 20_000;
    const before = connection.call(["DEL", "n"]);
    let runs = 0;
    let result: string | undefined;
    const writes = Buffer.concat(Array.from({ length: count }, () => encodeCommand(["INCR", "n"])));
    const done = connection.exchange(
      [encodeCommand(["MULTI"]), Buffer.alloc(0), writes, encodeCommand(["EXEC"])],
      count + 2,
      (framer, remaining) => {
        if (remaining === count + 2) return framer.takeRun(ok, 1);
        if (remaining > 1) {
          runs++;
          return framer.takeRun(queued, remaining - 1);
        }
        if (!framer.next()) return 0;
        expect(framer.type).toBe(ReplyType.array);
        result = framer.buffer.toString("latin1", framer.start, framer.start + 12);
        return 1;
      },
    );
    const after = connection.call(["GET", "n"]);
    await done;
    expect(await before).toBe(0);
    expect(result).toBe("*20000\r\n:1\r\n".slice(0, 12));
    expect(runs).toBeLessThan(count / 10);
    expect(await after).toEqual(Buffer.from(String(count)));
    connection.close();
  });

  test("shows back-pressure while the server does not read", async () => {
    const connection = await open();
    const value = Buffer.alloc(8 * 1024 * 1024, "x");
    const stored = connection.call(["SET", "big", value]);
    expect(connection.isCongested).toBe(true);
    expect(connection.unsentBytes).toBeGreaterThan(0);
    await connection.drained();
    expect(connection.isCongested).toBe(false);
    expect(await stored).toBe("OK");
    connection.close();
  });

  test("gives up the socket with what has already arrived behind the last reply", async () => {
    const connection = await open();
    const sync = await connection.call(["PSYNC", "?", "-1"]);
    expect(sync).toMatch(/^FULLRESYNC [0-9a-f]{40} \d+$/);
    const { socket, leftover } = connection.detach();
    await connection.closed;
    await expect(connection.call(["PING"])).rejects.toBeInstanceOf(ConnectionLost);
    let received = leftover;
    socket.on("data", (chunk: Buffer) => (received = Buffer.concat([received, chunk])));
    socket.resume();
    while (!received.includes("REDIS00")) await once(socket, "data");
    socket.destroy();
    expect(received.toString("latin1")).toMatch(/^\n*\$(\d+|EOF:\w{40})\r\nREDIS00/);
  });

  test("a killed connection rejects everything outstanding with the cause", async () => {
    const victim = await open();
    const killer = await open();
    const id = await victim.call(["CLIENT", "ID"]);
    const waiting = Promise.allSettled([
      victim.call(["BLPOP", "nothing", 0]),
      victim.exchange(encodeCommand(["PING"]), 1, () => 0),
    ]);
    await killer.call(["CLIENT", "KILL", "ID", String(id)]);
    for (const outcome of await waiting)
      expect(outcome).toMatchObject({ status: "rejected", reason: { name: "ConnectionLost" } });
    await victim.closed;
    expect(victim.isOpen).toBe(false);
    killer.close();
  });
});

describe("against TLS", () => {
  let redis: SpawnedRedis;
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "tls-"));
    const files = { "--tls-cert-file": SERVER, "--tls-key-file": SERVER_KEY, "--tls-ca-cert-file": AUTHORITY };
    const options: string[] = ["--tls-auth-clients", "optional"];
    for (const [option, content] of Object.entries(files)) {
      const path = join(directory, `${option.slice(2)}.pem`);
      await writeFile(path, content);
      options.push(option, path);
    }
    redis = await spawnRedis(options, "--tls-port");
  });
  afterAll(async () => {
    await redis[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  test("takes the server whose name its authority vouches for", async () => {
    const connection = await Connection.open({
      host: redis.host,
      port: redis.port,
      tls: { ca: AUTHORITY, serverName: "redis.test" },
    });
    expect(await connection.call(["ECHO", "hello"])).toEqual(Buffer.from("hello"));
    connection.close();
  });

  test.each([
    ["another authority", { ca: STRANGER, serverName: "redis.test" }],
    ["no authority given", { serverName: "redis.test" }],
    ["another name", { ca: AUTHORITY, serverName: "other.test" }],
    ["the address, which the certificate does not name", { ca: AUTHORITY }],
    [
      "an unreadable authority",
      { ca: "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n", serverName: "redis.test" },
    ],
  ])("refuses: %s", async (_, tls) => {
    const error: unknown = await Connection.open({ host: redis.host, port: redis.port, tls }).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(ConnectionLost);
    expect(error).toHaveProperty("cause", expect.any(Error));
  });

  test("takes any certificate only when told to", async () => {
    const connection = await Connection.open({ host: redis.host, port: redis.port, tls: { ca: STRANGER, insecure: true } });
    expect(await connection.call(["PING"])).toBe("PONG");
    connection.close();
  });

  test("never falls back to plain text", async () => {
    await using plain = await spawnRedis();
    await expect(
      Connection.open({ host: plain.host, port: plain.port, tls: { insecure: true } }, { connectTimeoutMs: 5000 }),
    ).rejects.toBeInstanceOf(ConnectionLost);
  });
});

describe("against servers that misbehave", () => {
  test("nobody listens", async () => {
    const port = await freePort();
    const opened = Connection.open({ host: "127.0.0.1", port });
    await expect(opened).rejects.toMatchObject({ name: "ConnectionLost", cause: { code: "ECONNREFUSED" } });
    releasePort(port);
  });

  test("a server that never answers AUTH, and one that never finishes the TLS handshake, run into the time-out", async () => {
    await using server = await listen(() => undefined);
    await expect(Connection.open({ ...server, password: "x" }, { connectTimeoutMs: 500 })).rejects.toThrow(
      /no answer to AUTH after 500 ms/,
    );
    await expect(Connection.open({ ...server, tls: {} }, { connectTimeoutMs: 500 })).rejects.toThrow(/not open after 500 ms/);
  });

  test("silence with something outstanding fails it, silence without does not", async () => {
    await using server = await listen((socket) => {
      socket.once("data", () => socket.write("+PONG\r\n"));
    });
    // No time passes but what is told: an answer that comes late here is not silence.
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const unused = await Connection.open(server, { idleTimeoutMs: 50 });
      const answered = await Connection.open(server, { idleTimeoutMs: 50 });
      expect(await answered.call(["PING"])).toBe("PONG");
      const waiting = await Connection.open(server, { idleTimeoutMs: 150 });
      expect(await waiting.call(["PING"])).toBe("PONG");
      const refused = waiting.call(["PING"]).catch((cause: unknown) => cause);
      // What is still on its way out counts as no silence: it is looked at twice.
      await vi.advanceTimersByTimeAsync(300);
      expect(String(await refused)).toMatch(/silent for 150 ms with 1 requests outstanding/);
      await waiting.closed;
      expect([unused.isOpen, answered.isOpen]).toEqual([true, true]);
      unused.close();
      answered.close();
    } finally {
      vi.useRealTimers();
    }
  });

  test("bytes that are no reply reject the reader with RespError and the others with ConnectionLost", async () => {
    await using server = await listen((socket) => {
      socket.once("data", () => socket.write("+OK\r\nHTTP/1.1 400\r\n"));
    });
    const connection = await Connection.open(server);
    const outcomes = await Promise.allSettled([connection.call(["A"]), connection.call(["B"]), connection.call(["C"])]);
    expect(outcomes[0]).toEqual({ status: "fulfilled", value: "OK" });
    expect(outcomes[1]).toMatchObject({ status: "rejected", reason: expect.any(RespError) });
    expect(outcomes[2]).toMatchObject({ status: "rejected", reason: expect.any(ConnectionLost) });
  });

  test("a reader that throws or takes too much ends the connection", async () => {
    await using server = await listen((socket) => {
      socket.on("data", () => socket.write("+OK\r\n"));
    });
    for (const taken of [2, -1, Number.NaN]) {
      const connection = await Connection.open(server);
      await expect(connection.exchange(encodeCommand(["A"]), 1, () => taken)).rejects.toThrow(RangeError);
      expect(connection.isOpen).toBe(false);
    }
    const connection = await Connection.open(server);
    const fault = new Error("verdict");
    const raised = connection.exchange(encodeCommand(["A"]), 1, () => {
      throw fault;
    });
    await expect(raised).rejects.toBe(fault);
  });

  test("a reply that nobody asked for is never taken for the next answer", async () => {
    await using server = await listen((socket) => {
      socket.once("data", () => socket.write("+OK\r\n+EXTRA\r\n"));
    });
    const connection = await Connection.open(server);
    expect(await connection.call(["A"])).toBe("OK");
    await expect(connection.call(["B"])).rejects.toThrow(/answer nothing/);
  });

  test("an abort ends it, before, while and after it is opened", async () => {
    await using server = await listen(() => undefined);
    const reason = new Error("stop");
    await expect(Connection.open(server, { signal: AbortSignal.abort(reason) })).rejects.toMatchObject({ cause: reason });
    const opening = new AbortController();
    const opened = Connection.open({ ...server, tls: {} }, { signal: opening.signal });
    opening.abort(reason);
    await expect(opened).rejects.toMatchObject({ cause: reason });
    const running = new AbortController();
    const connection = await Connection.open(server, { signal: running.signal });
    const call = connection.call(["PING"]);
    running.abort(reason);
    await expect(call).rejects.toMatchObject({ name: "ConnectionLost", cause: reason });
    await connection.closed;
  });

  test("can't be detached with something outstanding", async () => {
    await using server = await listen(() => undefined);
    const connection = await Connection.open(server);
    const call = connection.call(["PING"]);
    expect(() => connection.detach()).toThrow(/1 requests are outstanding/);
    connection.close();
    await expect(call).rejects.toBeInstanceOf(ConnectionLost);
    expect(() => connection.detach()).toThrow(ConnectionLost);
  });
});
