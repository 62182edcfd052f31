import fc from "fast-check";
import { expect, test } from "vitest";
import { RequestReader } from "./request-reader.ts";

const encode = (args: readonly string[]): Buffer =>
  Buffer.from(`*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join("")}`, "latin1");

test("cuts requests the same however they arrive", () => {
  const argument = fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
  fc.assert(
    fc.property(
      fc.array(fc.array(argument, { minLength: 1, maxLength: 5 })),
      fc.integer({ min: 1, max: 9 }),
      (requests, size) => {
        const bytes = Buffer.concat(requests.map(encode));
        const reader = new RequestReader();
        const found: string[][] = [];
        for (let at = 0; at < bytes.length; at += size) found.push(...reader.push(bytes.subarray(at, at + size)));
        expect(found).toEqual(requests);
      },
    ),
  );
});

test("takes inline commands and refuses what is none", () => {
  expect(new RequestReader().push(Buffer.from("PING\r\n\r\nPSYNC ? -1\n"))).toEqual([["PING"], ["PSYNC", "?", "-1"]]);
  expect(() => new RequestReader().push(Buffer.from("*1\r\n:5\r\n"))).toThrow('expected "$<length>"');
  expect(() => new RequestReader().push(Buffer.from("*-1\r\n"))).toThrow('expected "*<length>"');
  expect(() => new RequestReader().push(Buffer.alloc(2_000_000, 65))).toThrow("longer than");
});
