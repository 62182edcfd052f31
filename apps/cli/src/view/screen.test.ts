import { expect, test } from "vitest";
import { Screen } from "./screen.ts";

function sink(isTTY: boolean, columns = 80, rows = 24) {
  const texts: string[] = [];
  return { output: { isTTY, columns, rows, write: (text: string) => texts.push(text) }, texts };
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

test("several lines are rewritten in place together, no more than the terminal has", () => {
  const { output, texts } = sink(true, 80, 4);
  const screen = new Screen(output);
  screen.update("copying", "all", "s0", "s1", "s2");
  screen.update("copying", "one");
  screen.update("copying", "all", "s0");
  screen.print("kept");
  screen.clear();
  const erase = (lines: number) => `\r\u001b[2K${"\u001b[1A\u001b[2K".repeat(lines - 1)}`;
  expect(texts).toEqual([
    `${erase(1)}all\ns0\ns1`,
    `${erase(3)}one`,
    `${erase(1)}all\ns0`,
    `${erase(2)}kept\nall\ns0`,
    erase(2),
  ]);
});

test("without a terminal several lines stay lines", () => {
  const { output, texts } = sink(false);
  new Screen(output).update("copying", "all", "s0");
  expect(texts).toEqual(["all\ns0\n"]);
});
