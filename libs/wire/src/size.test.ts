import { expect, test } from "vitest";
import { parseSize, sizeSchema } from "./size.ts";

test.each([
  ["1B", 1],
  ["500MB", 500_000_000],
  ["4GiB", 4_294_967_296],
  ["1.5KB", 1_500],
  ["8000TB", 8e15],
])("%s is %i bytes", (text, sizeBytes) => {
  expect(parseSize(text)).toBe(sizeBytes);
  expect(sizeSchema.parse(text)).toBe(sizeBytes);
});

test.each(["", "5", "5 MB", "-1MB", "5mb", "5M", "8001TB", "1e3B", "999999999TiB"])("%j is no size", (text) => {
  expect(parseSize(text)).toBeNull();
  expect(() => sizeSchema.parse(text)).toThrow("expected a size such as");
});

test("a number is refused, since it has no unit", () => {
  expect(() => sizeSchema.parse(5)).toThrow("expected a size such as");
});
