import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Authority } from "@sluice/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Halt } from "./fault.ts";
import { readNatsAccess } from "./nats-access.ts";

const authority = new Authority();
const { cert, key } = authority.issue();
const SEED = `SU${"A".repeat(56)}`;
const CREDS = `-----BEGIN NATS USER JWT-----\nx\n-----END-----\n-----BEGIN USER NKEY SEED-----\n${SEED}\n-----END-----\n`;
let folder: string;
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-nats-"));
  const files = {
    "ca.pem": authority.cert,
    "cert.pem": cert,
    "key.pem": key,
    nkey: `${SEED}\n`,
    creds: CREDS,
    secret: "hunter2\n",
  };
  await Promise.all(Object.entries(files).map(async ([name, text]) => writeFile(at(name), text)));
});
afterAll(async () => rm(folder, { recursive: true }));

/** `@name` stands for a file. */
const read = (environment: Record<string, string>, url = "nats://a:1") => {
  const named = Object.entries(environment).map(([name, value]) => [
    `SLUICE_NATS_${name}`,
    value.startsWith("@") ? at(value.slice(1)) : value,
  ]);
  return readNatsAccess(Object.fromEntries(named) as Record<string, string>, url);
};

test("takes neither TLS nor credentials where there is nothing to say", () => {
  expect(read({})).toEqual({ tls: null, auth: null });
  expect(read({}, "a:1, nats://b:2")).toEqual({ tls: null, auth: null });
  expect(read({ CA: "", INSECURE: "", USER: "", TOKEN_FILE: "" })).toEqual({ tls: null, auth: null });
  expect(read({}, "tls://a:1").tls).toEqual({ isInsecure: false });
});

test("reads files of certificates", () => {
  const environment = { CA: "@ca.pem", CERT: "@cert.pem", KEY: "@key.pem", SERVER_NAME: "n", INSECURE: "false" };
  expect(read(environment, "tls://a:1,tls://b:2").tls).toEqual({
    ca: authority.cert,
    cert,
    key,
    serverName: "n",
    isInsecure: false,
  });
  expect(read({ INSECURE: "true" }, "tls://a").tls).toEqual({ isInsecure: true });
});

test.each([
  [
    { USER: "u", PASSWORD: "p" },
    { kind: "user", user: "u", password: "p" },
  ],
  [
    { USER: "u", PASSWORD_FILE: "@secret" },
    { kind: "user", user: "u", password: "hunter2" },
  ],
  [{ TOKEN: "t" }, { kind: "token", token: "t" }],
  [{ TOKEN_FILE: "@secret" }, { kind: "token", token: "hunter2" }],
  [{ NKEY: "@nkey" }, { kind: "nkey", seed: SEED }],
  [{ CREDS: "@creds" }, { kind: "creds", creds: CREDS }],
])("reads credentials: %j", (environment, auth) => {
  expect(read(environment as Record<string, string>).auth).toEqual(auth);
});

test.each([
  [{}, "nats://me:hunter2@a:1", "SLUICE_NATS_URL holds credentials"],
  [{}, "http://a:1", 'SLUICE_NATS_URL names "http://a:1"; expected nats://host:port, or tls://host:port'],
  [{ CA: "@ca.pem" }, "nats://a:1", "expected tls://host:port for each"],
  [{}, "tls://a:1,nats://b:1", "expected tls://host:port for each"],
  [{ CA: "@none" }, "tls://a", "SLUICE_NATS_CA: "],
  [{ CA: "@key.pem" }, "tls://a", "holds a private key and no certificate"],
  [{ CERT: "@cert.pem" }, "tls://a", "one of SLUICE_NATS_CERT and SLUICE_NATS_KEY is set"],
  [{ INSECURE: "yes" }, "tls://a", 'SLUICE_NATS_INSECURE is "yes"; expected true or false'],
  [{ USER: "u" }, "a", "one of SLUICE_NATS_USER and SLUICE_NATS_PASSWORD is set"],
  [{ TOKEN: "hunter2", CREDS: "@creds" }, "a", "more than one of"],
  [{ TOKEN: "hunter2", TOKEN_FILE: "@secret" }, "a", "SLUICE_NATS_TOKEN and SLUICE_NATS_TOKEN_FILE are both set"],
  [{ TOKEN_FILE: "@none" }, "a", "in SLUICE_NATS_TOKEN_FILE can't be read: ENOENT"],
  [{ NKEY: "@secret" }, "a", "in SLUICE_NATS_NKEY holds no seed of a user"],
  [{ CREDS: "@nkey" }, "a", "in SLUICE_NATS_CREDS is no credentials file"],
])("refuses %j with %s", (environment, url, message) => {
  const reading = (): unknown => read(environment, url);
  expect(reading).toThrow(Halt);
  expect(reading).toThrow(message);
  expect(reading).not.toThrow("hunter2");
});
