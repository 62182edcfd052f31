import { SlotSet } from "@sluice/wire";
import { expect, test } from "vitest";
import { RecordBook } from "./record-book.sample.ts";

// Mutation seen to fail it: keeping.ts, `note` writes its own slots alone.
test("what the lanes of a group note adds up, however they overlap and race", async () => {
  const book = new RecordBook();
  expect((await book.keeping().noted()).size).toBe(0);
  const parts = ["0-99", "50-149", "200", "16383"].map((text) => SlotSet.parse(text));
  await Promise.all(parts.map(async (part) => book.keeping().note(part)));
  expect((await book.keeping().noted()).toString()).toBe("0-149,200,16383");
  await book.keeping().note(SlotSet.parse("60-70"));
  expect((await book.keeping().noted()).toString()).toBe("0-149,200,16383");
});
