import { Halt } from "@sluice/runtime";
import { RedisServer, waitUntil } from "@sluice/testkit";
import { expect, test, vi } from "vitest";
import { ReplicaLink } from "./replica-link.ts";

const never = new AbortController().signal;

// Mutations: replica-link.ts, `open` with a port, or with an address (ip-address), which is told in place of the link's own; `keepAlive` with an offset.
test("source-first: poses as a replica that nobody can find or count on", async () => {
  await using server = await RedisServer.start();
  const link = await ReplicaLink.open("s0", { host: "127.0.0.1", port: server.port }, never);
  const facts = await link.facts();
  expect(facts).toMatchObject({ version: 70_015, keys: 0, secondReplOffset: -1 });
  expect(await link.psync(null, 0)).toMatchObject({ kind: "full", offset: 0 });
  const chunks = link.chunks();
  await chunks.next();
  const client = server.client();
  await client.set("a", "1");
  const offset = await waitUntil("the write is in the stream", async () => {
    const found = Number(/master_repl_offset:(\d+)/.exec(await client.info("replication"))?.[1]);
    return found > 10 ? found : null;
  });
  expect(offset).toBeGreaterThan(10);
  link.keepAlive();
  expect(await client.wait(1, 200)).toBe(0);
  // Told again as often as it is looked at: the source counts the lag in whole seconds since the last time.
  await waitUntil("it counts as alive", async () => {
    link.keepAlive();
    return (await client.info("replication")).includes("ip=127.0.0.1,port=0,state=online,offset=0,lag=0");
  });
  link.close();
  link.close();
  expect(link.isOpen).toBe(false);
  await expect(drain(chunks)).rejects.toMatchObject({ code: "SRC-001", endpoint: "source s0" });
});

test("a source that is silent for a minute is gone, although its kernel still takes acknowledgements", async () => {
  await using server = await RedisServer.start();
  const link = await ReplicaLink.open("s0", { host: "127.0.0.1", port: server.port }, never);
  await link.psync(null, 0);
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const chunks = link.chunks();
    await chunks.next();
    server.pause();
    const drained = drain(chunks).catch((fault: unknown) => fault);
    for (let second = 0; second < 61; second++) {
      link.keepAlive();
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(link.isOpen).toBe(false);
    expect(await drained).toMatchObject({ code: "SRC-001" });
  } finally {
    vi.useRealTimers();
    link.close();
    server.resume();
  }
});

test("a refused password or permission halts, an address where nobody listens is tried again", async () => {
  await using server = await RedisServer.start();
  const client = server.client();
  await client.call("ACL", "SETUSER", "poor", "on", ">pw", "+ping", "+replconf", "+info");
  await client.config("SET", "requirepass", "secret");
  const endpoint = { host: "127.0.0.1", port: server.port };
  await expect(ReplicaLink.open("s0", { ...endpoint, password: "wrong" }, never)).rejects.toBeInstanceOf(Halt);
  await expect(ReplicaLink.open("s0", endpoint, never)).rejects.toMatchObject({ code: "SRC-002" });
  const poor = await ReplicaLink.open("s0", { ...endpoint, user: "poor", password: "pw" }, never);
  await expect(poor.psync(null, 0)).rejects.toMatchObject({ name: "Halt", code: "SRC-002" });
  poor.close();
  await expect(ReplicaLink.open("s0", { ...endpoint, port: 1 }, never)).rejects.toMatchObject({
    name: "Retryable",
    code: "SRC-001",
  });
});

async function drain(chunks: AsyncGenerator<Buffer>): Promise<void> {
  for await (const chunk of chunks) expect(chunk.length).toBeGreaterThan(0);
}
