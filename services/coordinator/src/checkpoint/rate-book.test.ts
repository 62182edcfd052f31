import { expect, test } from "vitest";
import { RateBook } from "./rate-book.ts";

const take = (book: RateBook, atMs: number, value: number): void => book.take(new Map([["keys", value]]), atMs);

test("a rate needs two looks", () => {
  const book = new RateBook();
  expect(book.perSecond("keys")).toBeNull();
  take(book, 0, 5);
  expect(book.perSecond("keys")).toBeNull();
  take(book, 500, 15);
  expect(book.perSecond("keys")).toBe(20);
  expect(book.perSecond("bytes")).toBeNull();
});

test("looks back ten seconds and no further", () => {
  const book = new RateBook();
  for (let second = 0; second <= 60; second++)
    take(book, second * 1_000, second < 30 ? second * 100 : 3_000 + (second - 30) * 7);
  expect(book.perSecond("keys")).toBeCloseTo(7);
});

test("after a long silence it is the rate over all of it", () => {
  const book = new RateBook();
  take(book, 0, 0);
  take(book, 100_000, 1_000);
  expect(book.perSecond("keys")).toBe(10);
});

test("what is not known now has no rate", () => {
  const book = new RateBook();
  take(book, 0, 0);
  take(book, 1_000, 10);
  book.take(new Map(), 2_000);
  expect(book.perSecond("keys")).toBeNull();
});
