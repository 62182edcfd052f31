import { expect, test } from "vitest";
import { Screen } from "./screen.ts";

function sink(isTTY: boolean, columns = 80) {
  const texts: string[] = [];
  return { output: { isTTY, columns, write: (text: string) => texts.push(text) }, texts };
}

test("without a terminal: a line at every new heading and every 5 s, no control characters", () => {
  let nowMs = 0;
  const { output, texts } = sink(false);
  const screen = new Screen(output, () => nowMs);
  for (nowMs = 0; nowMs <= 10_000; nowMs += 500) screen.update(nowMs < 3_000 ? "copying" : "live", `at ${nowMs}`);
  screen.print("done");
  screen.clear();
  expect(texts).toEqual(["at 0\n", "at 3000\n", "at 8000\n", "done\n"]);
});

test("on a terminal the line is rewritten in place, cut to its width, and stays below what is printed", () => {
  const { output, texts } = sink(true, 24);
  const screen = new Screen(output);
  screen.update("a", "x".repeat(50));
  screen.print("kept");
  screen.clear();
  const line = "x".repeat(23);
  expect(texts).toEqual([`\r\u001b[2K${line}`, `\r\u001b[2Kkept\n${line}`, "\r\u001b[2K"]);
});
