import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { waitUntil } from "../servers/wait-until.ts";
import { TcpProxy } from "./tcp-proxy.ts";

/** A server that answers every byte with the same byte, and keeps what it was sent and the sockets it has. */
class Echo implements AsyncDisposable {
  received = "";
  errors = 0;
  ends = 0;
  readonly sockets: Socket[] = [];
  readonly #listener: Server;

  private constructor() {
    this.#listener = createServer({ allowHalfOpen: true }, (socket) => {
      this.sockets.push(socket);
      socket.on("error", () => this.errors++);
      socket.on("end", () => {
        this.ends++;
        socket.end("bye");
      });
      socket.on("data", (bytes: Buffer) => {
        this.received += bytes.toString("latin1");
        socket.write(bytes);
      });
    });
  }

  static async start(): Promise<Echo> {
    const echo = new Echo();
    echo.#listener.listen(0, "127.0.0.1");
    await once(echo.#listener, "listening");
    return echo;
  }

  get to(): { host: string; port: number } {
    return { host: "127.0.0.1", port: (this.#listener.address() as AddressInfo).port };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#listener.close(resolve));
  }
}

/** A connection that keeps what it received. */
class Client implements Disposable {
  received = "";
  error: string | undefined;
  hasEnded = false;
  readonly socket: Socket;

  constructor(port: number) {
    this.socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    this.socket.on("data", (bytes: Buffer) => (this.received += bytes.toString("latin1")));
    this.socket.on("error", (error: NodeJS.ErrnoException) => (this.error = error.code));
    this.socket.on("end", () => (this.hasEnded = true));
  }

  async says(text: string): Promise<void> {
    await waitUntil(`the client has received ${JSON.stringify(text)}`, () => this.received === text, {
      details: () => this.received,
    });
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** Resolves after so many turns of the event loop with I/O in between: what could have flowed has. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe("TcpProxy", () => {
  test("carries bytes both ways, counts them, and passes the end of one side on", async () => {
    await using echo = await Echo.start();
    await using proxy = await TcpProxy.start({ to: echo.to });
    using client = new Client(proxy.port);
    client.socket.write("hello");
    await client.says("hello");
    expect([proxy.requestBytes, proxy.replyBytes, proxy.connections]).toEqual([5, 5, 1]);
    expect(proxy.serverSidePorts).toEqual([echo.sockets[0]?.remotePort]);
    client.socket.end();
    await client.says("hellobye");
    await waitUntil("the end arrives", () => client.hasEnded);
    await waitUntil("the link is forgotten", () => proxy.serverSidePorts.length === 0);
    expect(echo.errors).toBe(0);
  });

  test("large amounts arrive whole and in order", async () => {
    await using echo = await Echo.start();
    await using proxy = await TcpProxy.start({ to: echo.to });
    using client = new Client(proxy.port);
    const text = Array.from({ length: 400_000 }, (_, index) => `${index}\n`).join("");
    client.socket.write(text);
    await client.says(text);
    expect(proxy.replyBytes).toBe(text.length);
  });

  test("cut resets both sides; new connections work", async () => {
    await using echo = await Echo.start();
    await using proxy = await TcpProxy.start({ to: echo.to });
    using client = new Client(proxy.port);
    client.socket.write("a");
    await client.says("a");
    proxy.cut();
    expect(await waitUntil("both hear of it", () => echo.errors === 1 && client.error)).toBe("ECONNRESET");
    using another = new Client(proxy.port);
    another.socket.write("b");
    await another.says("b");
  });

  test("cut does not wait for a side that takes nothing", async () => {
    await using echo = await Echo.start();
    await using proxy = await TcpProxy.start({ to: echo.to });
    using client = new Client(proxy.port);
    client.socket.pause();
    client.socket.write(Buffer.alloc(20_000_000));
    await waitUntil("the link is full", () => proxy.heldReplyBytes > 1_000_000);
    proxy.cut();
    expect(await waitUntil("the server hears of it", () => echo.errors > 0)).toBe(true);
    expect(await waitUntil("the link is forgotten", () => proxy.serverSidePorts.length === 0)).toBe(true);
  });

  test("cut ends a link whose end has been sent and not been taken", async () => {
    await using echo = await Echo.start();
    await using proxy = await TcpProxy.start({ to: echo.to });
    using client = new Client(proxy.port);
    client.socket.write("a");
    await client.says("a");
    for (const socket of echo.sockets) socket.pause();
    client.socket.end(Buffer.alloc(20_000_000));
    await waitUntil("the link is full", () => proxy.heldRequestBytes > 1_000_000);
    client.socket.resetAndDestroy();
    proxy.cut();
    expect(await waitUntil("the link is forgotten", () => proxy.serverSidePorts.length === 0)).toBe(true);
  });

  test("pause is half-open: no byte, no close, no reset until resume", async () => {
    await using echo = await Echo.start();
    await using proxy = await TcpProxy.start({ to: echo.to });
    using client = new Client(proxy.port);
    using leaver = new Client(proxy.port);
    leaver.socket.write("l");
    client.socket.write("a");
    await Promise.all([client.says("a"), leaver.says("l")]);
    proxy.pause();
    client.socket.write("b");
    leaver.socket.resetAndDestroy();
    using late = new Client(proxy.port);
    late.socket.write("c");
    await once(late.socket, "connect");
    await turns(200);
    expect([client.received, late.received, echo.received, echo.errors].join()).toMatch(/^a,,(al|la),0$/);
    proxy.resume();
    await client.says("ab");
    await late.says("c");
    await waitUntil("the reset arrives", () => echo.errors === 1);
  });

  test("strand holds the connections that there are; what was sent on them arrives after their client died", async () => {
    await using echo = await Echo.start();
    await using proxy = await TcpProxy.start({ to: echo.to });
    using client = new Client(proxy.port);
    client.socket.write("a");
    await client.says("a");
    const stranded = proxy.strand();
    client.socket.write("b");
    await waitUntil("it waits", () => proxy.heldRequestBytes === 1);
    echo.sockets[0]?.write("r");
    await client.says("ar");
    client.socket.resetAndDestroy();
    using another = new Client(proxy.port);
    another.socket.write("c");
    await another.says("c");
    expect([echo.received, echo.errors]).toEqual(["ac", 0]);
    stranded.release();
    await waitUntil("the late byte arrives", () => echo.received === "acb");
    expect(await waitUntil("and then the reset", () => echo.errors > 0)).toBe(true);
  });

  test("a server that dies during a pause is heard of after it", async () => {
    await using echo = await Echo.start();
    await using proxy = await TcpProxy.start({ to: echo.to });
    using client = new Client(proxy.port);
    client.socket.write("a");
    await client.says("a");
    proxy.pause();
    echo.sockets[0]?.resetAndDestroy();
    await turns(200);
    expect([client.error, client.hasEnded]).toEqual([undefined, false]);
    proxy.resume();
    await waitUntil("the reset arrives", () => client.error === "ECONNRESET");
  });

  test("holdReplies lets requests through and keeps the answers, also those of a client that dies", async () => {
    await using echo = await Echo.start();
    await using proxy = await TcpProxy.start({ to: echo.to });
    using client = new Client(proxy.port);
    proxy.holdReplies();
    client.socket.write("abc");
    await waitUntil("the server has answered", () => proxy.heldReplyBytes === 3);
    expect([echo.received, client.received, proxy.replyBytes, proxy.requestBytes]).toEqual(["abc", "", 0, 3]);
    proxy.releaseReplies();
    await client.says("abc");
    proxy.holdReplies();
    client.socket.write("d");
    await waitUntil("the server has it", () => echo.received === "abcd");
    client.socket.resetAndDestroy();
    await waitUntil("the server hears that its client is gone", () => echo.errors === 1);
  });

  test("delay makes every way longer without limiting how much is on it", async () => {
    await using echo = await Echo.start();
    await using proxy = await TcpProxy.start({ to: echo.to });
    using client = new Client(proxy.port);
    client.socket.write("a");
    await client.says("a");
    proxy.delay(60);
    const cameMs: number[] = [];
    client.socket.on("data", (bytes: Buffer) => cameMs.push(...Array.from(bytes, () => performance.now())));
    const startMs = performance.now();
    for (const [index, letter] of Array.from("bcdef").entries()) {
      client.socket.write(letter);
      // Each comes by itself, so that none leaves as a part of the one before it.
      await waitUntil("the proxy has it", () => proxy.requestBytes + proxy.heldRequestBytes === index + 2);
    }
    await client.says("abcdef");
    expect((cameMs[0] ?? 0) - startMs).toBeGreaterThanOrEqual(119);
    // One after the other, each would come a delay behind the one before it, however slow the machine is.
    const gapsMs = cameMs.slice(1).map((ms, index) => ms - (cameMs[index] ?? 0));
    expect(gapsMs).toHaveLength(4);
    expect(Math.min(...gapsMs), "letters were on their way together").toBeLessThan(59);
  });

  test("bandwidth limits a direction", async () => {
    await using echo = await Echo.start();
    await using proxy = await TcpProxy.start({ to: echo.to });
    using client = new Client(proxy.port);
    proxy.bandwidth(100_000);
    const startMs = performance.now();
    client.socket.write("x".repeat(20_000));
    await waitUntil("all has come back", () => client.received.length === 20_000);
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(170);
    expect(() => proxy.bandwidth(1)).toThrow(RangeError);
  });

  test("refuse refuses new connections only, until accept", async () => {
    await using echo = await Echo.start();
    await using proxy = await TcpProxy.start({ to: echo.to });
    using client = new Client(proxy.port);
    client.socket.write("a");
    await client.says("a");
    proxy.refuse();
    using refused = new Client(proxy.port);
    expect(await waitUntil("it is refused", () => refused.error)).toBe("ECONNREFUSED");
    client.socket.write("b");
    await client.says("ab");
    await proxy.accept();
    using accepted = new Client(proxy.port);
    accepted.socket.write("c");
    await accepted.says("c");
  });

  test("leadTo: what connects from now on reaches another server", async () => {
    await using first = await Echo.start();
    await using second = await Echo.start();
    await using proxy = await TcpProxy.start({ to: first.to });
    using before = new Client(proxy.port);
    before.socket.write("a");
    await before.says("a");
    proxy.leadTo(second.to);
    using after = new Client(proxy.port);
    after.socket.write("b");
    before.socket.write("c");
    await Promise.all([after.says("b"), before.says("ac")]);
    expect([first.received, second.received]).toEqual(["ac", "b"]);
  });

  test("a connection to a server that does not listen is reset", async () => {
    const echo = await Echo.start();
    const { to } = echo;
    await echo[Symbol.asyncDispose]();
    await using proxy = await TcpProxy.start({ to });
    using client = new Client(proxy.port);
    expect(await waitUntil("it is reset", () => client.error)).toBe("ECONNRESET");
  });
});
