import { expect, test } from "vitest";
import { parseDemoOptions } from "./demo-options.ts";

const parse = (...args: string[]) => parseDemoOptions(args, () => 7);

test("defaults are the job that the demo is known for", () => {
  expect(parse()).toEqual({ layout: "cluster", keys: 100_000, rate: 5_000, seconds: 20, seed: 7, keep: false });
});

test("every option is read", () => {
  const read = parse("--keys", "50", "--rate=10", "--seconds", "2", "--seed", "0", "--keep", "--layout", "standalone");
  expect(read).toEqual({ layout: "standalone", keys: 50, rate: 10, seconds: 2, seed: 0, keep: true });
});

test("help is no run", () => expect(parse("--help")).toBeNull());

test.each([
  [["--keys", "0"], '--keys is "0"; expected a whole number from 1 to 10000000'],
  [["--rate", "1e3"], '--rate is "1e3"'],
  [["--seconds", "1"], '--seconds is "1"; expected a whole number from 2'],
  [["--layout", "ring"], '--layout is "ring"; expected cluster or standalone'],
  [["--fast"], "--fast"],
  [["now"], "now"],
])("%j is refused as usage", (args, message) => {
  expect(() => parse(...args)).toThrow(expect.objectContaining({ exitCode: 2, message: expect.stringContaining(message) }));
});
