import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { Halt } from "./fault.ts";
import { openSecret, sealSecret } from "./secret.ts";

const key = randomBytes(32);

test.each(["", "hunter2", "pässword → 日本", "x".repeat(100_000), "a:b"])("%# is opened as it was sealed", (secret) => {
  expect(openSecret(sealSecret(secret, key), key)).toBe(secret);
});

test("sealed twice it never looks the same, and never shows what it holds", () => {
  const [one, two] = [sealSecret("hunter2", key), sealSecret("hunter2", key)];
  expect(one).not.toBe(two);
  expect(one).toMatch(/^sealed:1:[A-Za-z0-9+/=]+$/);
  expect(Buffer.from(one.slice(9), "base64").toString("latin1")).not.toContain("hunter2");
});

describe("is refused with a halt that says why", () => {
  const sealed = sealSecret("hunter2", key);

  test("without a key, with another, and when it was not sealed", () => {
    expect(() => openSecret(sealed, null)).toThrow("SLUICE_SECRET_KEY is not set, and a record holds a sealed secret");
    expect(() => openSecret(sealed, randomBytes(32))).toThrow("SLUICE_SECRET_KEY is not the key that sealed");
    expect(() => openSecret("hunter2", key)).toThrow("a secret in a record is not sealed");
    expect(() => openSecret("hunter2", key)).not.toThrow("hunter2");
  });

  test("with any byte changed, and cut anywhere", () => {
    const bytes = Buffer.from(sealed.slice(9), "base64");
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ 1;
      expect(() => openSecret(`sealed:1:${changed.toString("base64")}`, key)).toThrow(Halt);
      expect(() => openSecret(`sealed:1:${bytes.subarray(0, at).toString("base64")}`, key)).toThrow(Halt);
    }
  });
});
