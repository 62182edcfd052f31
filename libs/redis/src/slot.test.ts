import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { crc16, keySlot, SLOT_COUNT, slotTag } from "./slot.ts";

function slotOf(key: string): number {
  return keySlot(Buffer.from(key, "latin1"));
}

function plain(text: string): number {
  return crc16(Buffer.from(text, "latin1")) % SLOT_COUNT;
}

test("CRC16 has the check value of the cluster specification", () => {
  expect(crc16(Buffer.from("123456789"))).toBe(0x31c3);
  expect(crc16(Buffer.from("x123456789y"), 1, 10)).toBe(0x31c3);
});

test("only a hash tag counts: the first brace, the first closing one behind it, something between them", () => {
  expect(slotOf("user:{7}:name")).toBe(plain("7"));
  expect(slotOf("{a}{b}")).toBe(plain("a"));
  expect(slotOf("foo{{bar}}zap")).toBe(plain("{bar"));
  expect(slotOf("foo{}{bar}")).toBe(plain("foo{}{bar}"));
  expect(slotOf("foo{bar")).toBe(plain("foo{bar"));
  expect(slotOf("}{a}")).toBe(plain("a"));
  expect(slotOf("")).toBe(0);
});

test("the key is the extent and nothing around it", () => {
  const buffer = Buffer.from("{x}{key}}");
  expect(keySlot(buffer, 3, 8)).toBe(slotOf("{key}"));
  expect(keySlot(buffer, 3, 7)).toBe(slotOf("{key"));
});

test("every slot has a tag, and the tags never change", () => {
  const all: string[] = [];
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const tag = slotTag(slot);
    expect(tag).toMatch(/^[0-9a-zA-Z]{1,3}$/);
    expect(slotOf(`sluice:{${tag}}:x`)).toBe(slot);
    all.push(tag);
  }
  expect(createHash("sha256").update(all.join()).digest("hex")).toBe(
    "8de056e898040b36857f7e29dba8cf2f6c52e5a1cca5838075aebd7c6b15882f",
  );
  for (const slot of [-1, SLOT_COUNT, 1.5, Number.NaN]) expect(() => slotTag(slot)).toThrow(RangeError);
});
