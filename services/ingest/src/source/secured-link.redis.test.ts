import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Authority, freePort, RedisServer, releasePort, waitUntil, type IdentityFiles } from "@sluice/testkit";
import type { Endpoint, EndpointTls } from "@sluice/redis";
import { describeFault, Halt } from "@sluice/runtime";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ReplicaLink } from "./replica-link.ts";

const never = new AbortController().signal;
const authority = new Authority();
const stranger = new Authority("stranger");
let folder: string;
let server: RedisServer;
let port: number;
let good: IdentityFiles;
let expired: IdentityFiles;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-tls-"));
  good = await authority.write(folder, "good");
  expired = await authority.write(folder, "expired", { isExpired: true });
  port = await freePort();
  server = await RedisServer.start({
    config: {
      "tls-port": String(port),
      "tls-ca-cert-file": good.ca,
      "tls-cert-file": good.cert,
      "tls-key-file": good.key,
      "tls-auth-clients": "no",
    },
  });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  releasePort(port);
  await rm(folder, { recursive: true });
});

const at = (tls: EndpointTls, host = "127.0.0.1"): Endpoint => ({ host, port, tls });

async function isOpened(endpoint: Endpoint): Promise<boolean> {
  const link = await ReplicaLink.open("s0", endpoint, never);
  const { version } = await link.facts();
  link.close();
  return version > 60_000;
}

/**
 * The halt that opening a link ends with, or the first question on it. A server looks at the client's certificate when we have begun to ask, and
 * where it closes before it has read the question its alert may be lost: then the link is opened again, as its supervisor does.
 */
async function haltOf(endpoint: Endpoint): Promise<Halt> {
  return waitUntil("it halts", async () => {
    const fault: unknown = await isOpened(endpoint).catch((cause: unknown) => cause);
    if (fault instanceof Halt) return fault;
    expect(describeFault(fault)).toContain("ECONNRESET");
    return null;
  });
}

test("a server is trusted by its authority and its name: address, host name, or the name that is given", async () => {
  const { cert: ca } = authority;
  expect(await isOpened(at({ ca }))).toBe(true);
  expect(await isOpened(at({ ca }, "localhost"))).toBe(true);
  expect(await isOpened(at({ ca, serverName: "localhost" }))).toBe(true);
  expect(await isOpened(at({ insecure: true }))).toBe(true);
});

test.each([
  ["another authority", () => at({ ca: stranger.cert }), "signed by an authority that is not trusted here"],
  ["none but the public ones", () => at({}), "signed by an authority that is not trusted here"],
  ["another name", () => at({ ca: authority.cert, serverName: "redis.example" }), "bears another name"],
])("%s: it halts, as no other try could help", async (_name, endpoint, why) => {
  const halt = await haltOf(endpoint());
  expect(halt.code).toBe("SRC-017");
  expect(halt.message).toContain(why);
});

test("certificates that are expired, or asked for and not there, or not trusted there", async () => {
  const control = server.client();
  const { cert: ca } = authority;
  const use = async ({ cert, key }: IdentityFiles, clients: "yes" | "no") =>
    control.call("CONFIG", "SET", "tls-cert-file", cert, "tls-key-file", key, "tls-auth-clients", clients);
  await use(expired, "no");
  expect((await haltOf(at({ ca }))).message).toContain("has expired");
  await use(good, "yes");
  const missing = await haltOf(at({ ca }));
  expect(missing).toMatchObject({ code: "SRC-017" });
  expect(missing.message).toContain("it refuses the client certificate, or asks for one");
  expect((await haltOf(at({ ca, ...stranger.issue() }))).message).toContain("refuses the client certificate");
  expect(await isOpened(at({ ca, ...authority.issue({ names: ["sluice"] }) }))).toBe(true);
  const mixed = { cert: authority.issue().cert, key: authority.issue().key };
  expect((await haltOf(at({ ca, ...mixed }))).message).toContain("can't be used");
});
