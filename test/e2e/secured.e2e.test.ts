import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Authority, freePort, NatsServer, releasePort, waitUntil, type IdentityFiles, type RedisServer } from "@sluice/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Services } from "./deployment.ts";
import { expectIdentical } from "./equality.ts";
import { Pair, type Side } from "./pair.ts";

const BUS_PASSWORD = "of-the-bus";
const [SOURCE_PASSWORD, DESTINATION_PASSWORD] = ["of:the:source", "of-the-destination"];
const authority = new Authority();
const stranger = new Authority("stranger");

let folder: string;
let files: { server: IdentityFiles; client: IdentityFiles; stranger: IdentityFiles };
let ports: { source: number; destination: number };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-secured-"));
  files = {
    server: await authority.write(folder, "server"),
    client: await authority.write(folder, "client", { names: ["sluice"] }),
    stranger: await stranger.write(folder, "stranger"),
  };
  ports = { source: await freePort(), destination: await freePort() };
});
afterAll(async () => {
  releasePort(ports.source);
  releasePort(ports.destination);
  await rm(folder, { recursive: true });
});

/** A port for the test's own clients and the oracle, and one that asks for client certificates. */
const configOf = (port: number): Record<string, string> => ({
  "tls-port": String(port),
  "tls-ca-cert-file": files.server.ca,
  "tls-cert-file": files.server.cert,
  "tls-key-file": files.server.key,
  "tls-auth-clients": "yes",
});

/** The line of docs/security.md for the source, or for a destination. */
function documentedUser(which: "source" | "destination", password: string): string[] {
  const text = readFileSync(resolve(import.meta.dirname, "../../docs/security.md"), "utf8");
  const line = [...text.matchAll(/^ACL SETUSER .*$/gm)][which === "source" ? 0 : 1]?.[0];
  if (line === undefined) throw new Error(`docs/security.md holds no ACL SETUSER for the ${which}`);
  return line
    .split(" ")
    .slice(1)
    .map((word) => (word === ">PASSWORD" ? `>${password}` : word));
}

const clientOf = (side: Side) => (side as RedisServer).client();

test("from a server to another over a bus, all with TLS on both sides and users that may do only what they need", async () => {
  await using nats = await NatsServer.start({
    config: `
tls { cert_file: "${files.server.cert}", key_file: "${files.server.key}", ca_file: "${files.server.ca}", verify: true }
authorization { user: sluice, password: "${BUS_PASSWORD}" }`,
  });
  await using pair = await Pair.start(
    { kind: "standalone", config: configOf(ports.source) },
    { kind: "standalone", config: configOf(ports.destination) },
  );
  await clientOf(pair.source).call("ACL", ...documentedUser("source", SOURCE_PASSWORD));
  await clientOf(pair.destination).call("ACL", ...documentedUser("destination", DESTINATION_PASSWORD));
  await pair.preload(3_000, 91);
  const load = await pair.load(92, 1_000);
  const settings = {
    SLUICE_NATS_CA: files.client.ca,
    SLUICE_NATS_CERT: files.client.cert,
    SLUICE_NATS_KEY: files.client.key,
    SLUICE_NATS_USER: "sluice",
    SLUICE_NATS_PASSWORD: BUS_PASSWORD,
  };
  await using services = await Services.start(nats.url.replace("nats:", "tls:"), { ingests: 1, writers: 1, settings });
  const { status } = services;
  const tls = { ca: files.client.ca, cert: files.client.cert, key: files.client.key };
  const source = { url: `rediss://127.0.0.1:${ports.source}`, password: `sluice:${SOURCE_PASSWORD}`, tls };
  const destination = {
    url: `rediss://localhost:${ports.destination}`,
    user: "sluice",
    password: "not-this-one",
    nodes: { [`localhost:${ports.destination}`]: { password: DESTINATION_PASSWORD } },
    tls,
  };

  const refusals = [
    ["wrong-ca", { source: { ...source, tls: { ...tls, ca: files.stranger.ca } }, destinations: [destination] }, "SRC-017"],
    ["wrong-name", { source, destinations: [{ ...destination, tls: { ...tls, serverName: "redis.example" } }] }, "DST-020"],
    ["no-file", { source: { ...source, tls: { ca: join(folder, "none.pem") } }, destinations: [destination] }, "PIP-014"],
  ] as const;
  for (const [name, pipeline, code] of refusals) {
    const said = await status
      .create({ name, ...pipeline })
      .then(async () => status.until(name, `it says ${code}`, (seen) => JSON.stringify(seen).includes(code)))
      .then(JSON.stringify, String);
    expect(said).toContain(code);
  }

  await status.create({ name: "orders", source, destinations: [destination] });
  await status.until("orders", "synchronizing", ({ state }) => state === "synchronizing");
  const users = async (side: Side): Promise<string[]> =>
    [...String(await clientOf(side).call("CLIENT", "LIST")).matchAll(/ user=(\S+)/g)].map(([, user]) => user as string);
  for (const side of [pair.source, pair.destination])
    await waitUntil("Sluice is there as its user", async () => (await users(side)).includes("sluice"));
  await expectIdentical("orders", pair, status, load);
  const outputs = ["ingest-1", "writer-1", "router-1", "coordinator-1"].map((instance) => services.outputOf(instance)).join("");
  for (const secret of [BUS_PASSWORD, SOURCE_PASSWORD, DESTINATION_PASSWORD]) expect(outputs).not.toContain(secret);
});
