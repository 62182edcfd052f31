import { expect, test } from "vitest";
import { SseParser } from "./sse-parser.ts";

const stream = 'retry: 2000\n\n: still here\n\nid: 7\nevent: event\r\ndata: {"a":1,\ndata: "b":2}\n\nevent: state\ndata:x\n\n';
const messages = [
  { id: "7", event: "event", data: '{"a":1,\n"b":2}' },
  { id: "7", event: "state", data: "x" },
];

test("messages with their fields, comments and retries left out", () => {
  expect(new SseParser().push(stream)).toEqual(messages);
});

test("the same however the stream is cut", () => {
  for (let size = 1; size < 20; size++) {
    const parser = new SseParser();
    const found = [];
    for (let at = 0; at < stream.length; at += size) found.push(...parser.push(stream.slice(at, at + size)));
    expect(found).toEqual(messages);
  }
});

test("a message without end is refused before it fills the memory", () => {
  const parser = new SseParser();
  const push = () => {
    for (let line = 0; line < 40; line++) parser.push(`data: ${"x".repeat(32 * 1024)}\n`);
  };
  expect(push).toThrow("no end");
  expect(() => new SseParser().push("x".repeat(2 ** 20 + 1))).toThrow("no end");
});
