import { createPrivateKey, X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import { Authority } from "./authority.ts";

test("makes certificates that others can read and check", () => {
  const authority = new Authority("mine");
  const other = new Authority("mine");
  const { cert, key } = authority.issue({ names: ["redis.example", "10.0.0.7"] });
  const [own, leaf] = [new X509Certificate(authority.cert), new X509Certificate(cert)];
  expect(own).toMatchObject({ ca: true, subject: "CN=mine" });
  expect(own.verify(own.publicKey)).toBe(true);
  expect(leaf).toMatchObject({ ca: false, issuer: "CN=mine", subjectAltName: "DNS:redis.example, IP Address:10.0.0.7" });
  expect(leaf.verify(own.publicKey)).toBe(true);
  expect(leaf.verify(new X509Certificate(other.cert).publicKey)).toBe(false);
  expect(leaf.checkPrivateKey(createPrivateKey(key))).toBe(true);
  expect(leaf.checkHost("redis.example")).toBe("redis.example");
  expect(Date.parse(leaf.validTo)).toBeGreaterThan(Date.now());
  expect(Date.parse(new X509Certificate(authority.issue({ isExpired: true }).cert).validTo)).toBeLessThan(Date.now());
});
