import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nkeys } from "@nats-io/transport-node";
import { describeFault, silentLog, type NatsAccess, type NatsAuth, type NatsTls } from "@sluice/runtime";
import { Authority, NatsServer, type IdentityFiles } from "@sluice/testkit";
import { epochRecord, liveSubject, recordKey } from "@sluice/wire";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Bus } from "./bus.ts";

const authority = new Authority();
const stranger = new Authority("stranger");
const ca = authority.cert;
const mutual = (): NatsTls => ({ ca, ...authority.issue({ names: ["sluice"] }), isInsecure: false });
const user = nkeys.createUser();
const nkey: NatsAuth = { kind: "nkey", seed: new TextDecoder().decode(user.getSeed()) };
const password: NatsAuth = { kind: "user", user: "sluice", password: "pw" };

let folder: string;
let secured: NatsServer;
let plain: NatsServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-bus-tls-"));
  const files = await authority.write(folder, "nats");
  [secured, plain] = await Promise.all([
    NatsServer.start({ config: configOf(files) }),
    NatsServer.start({ config: "authorization { token: open-sesame }" }),
  ]);
});
afterAll(async () => {
  await Promise.all([secured, plain].map(async (server) => server[Symbol.asyncDispose]()));
  await rm(folder, { recursive: true });
});

function configOf({ ca: caFile, cert, key }: IdentityFiles): string {
  return `
tls { cert_file: "${cert}", key_file: "${key}", ca_file: "${caFile}", verify: true }
authorization { users: [
  { user: sluice, password: pw, permissions: { publish: ["$JS.API.>", "$JS.ACK.>", "$KV.sluice.>", "sluice.>"], subscribe: "_INBOX.>" } }
  { nkey: ${user.getPublicKey()} }
] }
`;
}

async function connect(url: string, access: NatsAccess): Promise<string> {
  try {
    const bus = await Bus.connect({ url, access, name: "test", log: silentLog() });
    await bus.close();
    return "connected";
  } catch (fault) {
    return `${(fault as { code?: string }).code} ${describeFault(fault)}`;
  }
}

const tlsUrl = (host = "127.0.0.1"): string => `tls://${host}:${secured.port}`;

test("with its certificate trusted, by address and by name, and ours: user and password, or an nkey", async () => {
  expect(await connect(tlsUrl(), { tls: mutual(), auth: password })).toBe("connected");
  expect(await connect(tlsUrl("localhost"), { tls: mutual(), auth: nkey })).toBe("connected");
  expect(await connect(tlsUrl(), { tls: { ...mutual(), serverName: "localhost" }, auth: nkey })).toBe("connected");
});

test("with a token", async () => {
  expect(await connect(plain.url, { tls: null, auth: { kind: "token", token: "open-sesame" } })).toBe("connected");
});

test("certificates that are not trusted end it", async () => {
  const connectWith = async (tls: Partial<NatsTls>) => connect(tlsUrl(), { tls: { ...mutual(), ...tls }, auth: password });
  expect(await connectWith({ ca: stranger.cert })).toMatch(/^BUS-011 .*an authority that is not trusted here/);
  expect(await connectWith({ serverName: "nats.example" })).toMatch(/^BUS-011 .*bears another name/);
  expect(await connect(plain.url.replace("nats:", "tls:"), { tls: mutual(), auth: null })).toMatch(/^BUS-011 .*knows no TLS/);
});

test("credentials that are refused end it, and are not shown", async () => {
  const wrong = await connect(tlsUrl(), { tls: mutual(), auth: { ...password, password: "hunter2" } });
  expect(wrong).toMatch(/^BUS-012 .*refuses the credentials/);
  expect(wrong).not.toContain("hunter2");
  expect(await connect(plain.url, { tls: null, auth: null })).toMatch(/^BUS-012 /);
});

test("a user with the permissions of docs/security.md is allowed all that services do", async () => {
  const bus = await Bus.connect({ url: tlsUrl(), access: { tls: mutual(), auth: password }, name: "test", log: silentLog() });
  try {
    const key = recordKey.epoch("p");
    const seen = new Promise<string>((tell) => {
      bus.records.watch(key, (change) => tell(change.key));
    });
    expect(await bus.records.compareAndSet(key, epochRecord, { epoch: 1 }, 0)).toBe(1);
    expect(await seen).toBe(key);
    expect((await bus.records.get(key, epochRecord))?.value).toEqual({ epoch: 1 });
    const stream = bus.stream("p");
    await stream.ensure();
    const subject = liveSubject("p", "s0", 0);
    expect(await stream.append(subject, Buffer.from("a"), 0)).toMatchObject({ outcome: "stored" });
    expect((await stream.tail(subject))?.sequence).toBe(1);
    const reader = await stream.read(subject, 1);
    expect((await reader.next())?.sequence).toBe(1);
    await reader.close();
    await stream.remove();
  } finally {
    await bus.close();
  }
});
