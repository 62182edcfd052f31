import { expect, test } from "vitest";
import { encodeCommand, encodedBytes, writeCommand } from "./encode-command.ts";

test("a command is an array of bulk strings with lengths in bytes", () => {
  expect(encodeCommand(["SET", "clé", Buffer.from([0, 13, 10]), -12.5, 100]).toString("latin1")).toBe(
    "*5\r\n$3\r\nSET\r\n$4\r\ncl\u00c3\u00a9\r\n$3\r\n\0\r\n\r\n$5\r\n-12.5\r\n$3\r\n100\r\n",
  );
});

test("lengths around powers of ten are written right", () => {
  for (const length of [0, 9, 10, 99, 100, 999, 1000, 12_345]) {
    expect(encodeCommand(["x".repeat(length)]).toString()).toBe(`*1\r\n$${length}\r\n${"x".repeat(length)}\r\n`);
  }
});

test("commands are appended to a buffer with room", () => {
  const first = ["PING"];
  const second = ["ECHO", "a"];
  const target = Buffer.alloc(encodedBytes(first) + encodedBytes(second));
  expect(writeCommand(target, writeCommand(target, 0, first), second)).toBe(target.length);
  expect(target).toEqual(Buffer.concat([encodeCommand(first), encodeCommand(second)]));
  expect(() => writeCommand(target, target.length - 5, first)).toThrow(RangeError);
});
