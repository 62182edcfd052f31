import { encodeCommand } from "@sluice/redis";
import fc from "fast-check";
import { expect, test } from "vitest";
import { selectedDatabase } from "./selected-database.ts";

const set = (value: string | Buffer): Buffer => encodeCommand(["SET", "k", value]);
const select = (db: number): Buffer => encodeCommand(["SELECT", String(db)]);
const stream = Buffer.concat([select(3), set("a"), select(7), set("b".repeat(200)), encodeCommand(["PING"])]);

test("the last SELECT counts", () => {
  expect(selectedDatabase(stream)).toBe(7);
  expect(selectedDatabase(Buffer.concat([stream, select(0)]))).toBe(0);
  expect(selectedDatabase(Buffer.concat([set("a"), Buffer.from("*2\r\n$6\r\nselect\r\n$2\r\n12\r\n"), set("b")]))).toBe(12);
});

test("commands without one are another thing than bytes that can't be framed", () => {
  expect(selectedDatabase(Buffer.alloc(0))).toBe("none");
  expect(selectedDatabase(Buffer.concat([set("a"), set("b")]))).toBe("none");
  expect(selectedDatabase(Buffer.concat([Buffer.from("end of a value\r\n"), set("b")]))).toBe("none");
  expect(selectedDatabase(Buffer.from("in the middle of a value"))).toBe("unframed");
  expect(selectedDatabase(Buffer.concat([set("a"), Buffer.from("*2\r\n$6\r\nSELECT\r\n$1\r\nx\r\n")]))).toBe("unframed");
});

test("the window may begin anywhere", () => {
  const before = stream.indexOf(select(7));
  for (let from = 0; from <= before; from++) expect(selectedDatabase(stream.subarray(from)), `from ${from}`).toBe(7);
  const lastCommand = stream.indexOf("*1") + 1;
  for (let from = before + 1; from < stream.length; from++)
    expect(selectedDatabase(stream.subarray(from)), `from ${from}`).toBe(from < lastCommand ? "none" : "unframed");
});

test("a SELECT inside of a value is none, wherever the window begins", () => {
  const value = Buffer.concat([select(9), set("x"), Buffer.from("*2\r\n$6\r\nSELECT\r\n$1\r\n5")]);
  const rest = Buffer.concat([set("c"), select(4), set(value), set("d")]);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: value.length }), (from) => {
      expect(selectedDatabase(Buffer.concat([value.subarray(from), Buffer.from("\r\n"), rest]))).toBe(4);
    }),
  );
});

test("a stream that ends inside of a command is not believed", () => {
  expect(selectedDatabase(stream.subarray(0, stream.length - 3))).toBe("unframed");
});
