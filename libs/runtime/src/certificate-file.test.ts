import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Authority } from "@sluice/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readCertificateFile } from "./certificate-file.ts";
import { Halt } from "./fault.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-pem-"));
});
afterAll(async () => rm(folder, { recursive: true }));

const authority = new Authority();
const { cert, key } = authority.issue();
const broken = cert.replace(/M/, "A");
const locked = generateKeyPairSync("ec", {
  namedCurve: "P-256",
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "hunter2" },
}).privateKey;

async function read(text: string, kind: "ca" | "cert" | "key"): Promise<string> {
  const path = join(folder, "file.pem");
  await writeFile(path, text);
  return readCertificateFile(path, kind);
}

test("takes what it should hold, in any company", async () => {
  expect(await read(`# ours\n${authority.cert}${cert}`, "ca")).toContain("# ours");
  expect(await read(key + cert, "cert")).toContain("CERTIFICATE");
  expect(await read(cert + key, "key")).toContain("PRIVATE KEY");
});

test.each([
  ["", "ca", "holds no certificate in PEM"],
  [key, "cert", "holds a private key and no certificate"],
  [authority.cert + broken, "ca", "holds a certificate (number 2) that can't be read"],
  [cert, "key", "holds a certificate and no private key"],
  ["x", "key", "holds no private key in PEM"],
  [locked, "key", "holds a key with a passphrase"],
  [key.replace(/M/, "A"), "key", "holds a key that can't be read"],
  ["x".repeat(2 ** 20 + 1), "ca", "holds more than 1 MiB"],
] as const)("refuses %j as %s", async (text, kind, why) => {
  const fault: unknown = await read(text, kind).catch((cause: unknown) => cause);
  expect(fault).toBeInstanceOf(Halt);
  expect(fault).toMatchObject({ code: "PIP-014" });
  expect((fault as Halt).message).toContain(`${join(folder, "file.pem")}, where `);
  expect((fault as Halt).message).toContain(why);
});

test("names a file that is not there", () => {
  expect(() => readCertificateFile(join(folder, "none.pem"), "ca")).toThrow(
    `${join(folder, "none.pem")}, where certificates to trust should be, can't be read: ENOENT`,
  );
});
