import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { freePort, releasePort } from "./free-port.ts";
import { RedisServer } from "./redis-server.ts";
import { waitUntil } from "./wait-until.ts";

describe("RedisServer", () => {
  test("answers when start resolves, and leaves neither process nor directory behind", async () => {
    let pid = 0;
    let dir = "";
    {
      await using server = await RedisServer.start();
      ({ pid, dir } = server);
      expect(await server.client(3).set("a", "1")).toBe("OK");
      expect(await server.client(3).get("a")).toBe("1");
      expect(await server.client().config("GET", "save")).toEqual(["save", ""]);
      expect(existsSync(dir)).toBe(true);
    }
    expect(() => process.kill(pid, 0)).toThrow("ESRCH");
    expect(existsSync(dir)).toBe(false);
  });

  test("restarts on the same port with the same files after a kill", async () => {
    await using server = await RedisServer.start({ config: { appendonly: "yes", appendfsync: "always" } });
    const { port, pid } = server;
    await server.client().set("kept", "yes");
    expect(await server.kill()).toEqual({ code: null, signal: "SIGKILL" });
    await server.restart();
    expect(server.port).toBe(port);
    expect(server.pid).not.toBe(pid);
    expect(await server.client().get("kept")).toBe("yes");
  });

  test("pause stops it from answering until resume", async () => {
    await using server = await RedisServer.start();
    const client = server.client();
    await client.ping();
    server.pause();
    let hasAnswered = false;
    const answer = client.ping().then((text) => {
      hasAnswered = true;
      return text;
    });
    const state = await waitUntil("the kernel reports it as stopped", async () => {
      const text = await readFile(`/proc/${server.pid}/stat`, "utf8");
      return text.split(" ")[2] === "T" && "T";
    });
    expect(state).toBe("T");
    expect(hasAnswered).toBe(false);
    server.resume();
    expect(await answer).toBe("PONG");
  });

  test("waitForSync waits for what the primary has written", async () => {
    await using primary = await RedisServer.start();
    await using replica = await RedisServer.start({ replicaOf: primary });
    await primary.client(5).mset("a", "1", "b", "2");
    await replica.waitForSync();
    expect(await replica.client(5).mget("a", "b")).toEqual(["1", "2"]);
  });

  test("a refused configuration is an error with the server's own words", async () => {
    await expect(RedisServer.start({ config: { "no-such-directive": "1" } })).rejects.toThrow(/no-such-directive/);
  });

  test("servers do not survive a test process that is killed", async () => {
    const source = fileURLToPath(new URL("redis-server.ts", import.meta.url));
    const script = `const { RedisServer } = await import(${JSON.stringify(source)});
      const server = await RedisServer.start();
      console.log(JSON.stringify({ pid: server.pid, dir: server.dir }));`;
    const args = ["--conditions", "@sluice/source", "--import", "tsx", "--input-type=module", "-e", script];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = await once(child.stdout, "data");
    const { pid, dir }: { pid: number; dir: string } = JSON.parse(String(line));
    expect(process.kill(pid, 0)).toBe(true);
    child.kill("SIGKILL");
    await waitUntil("the server is gone", () => isGone(pid) && !existsSync(dir));
  });
});

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

test("ports are distinct while reserved and can be listened on", async () => {
  const ports = await Promise.all(Array.from({ length: 20 }, () => freePort()));
  expect(new Set(ports).size).toBe(20);
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(ports[0], "127.0.0.1", resolve);
  });
  await new Promise((resolve) => server.close(resolve));
  for (const port of ports) releasePort(port);
});
