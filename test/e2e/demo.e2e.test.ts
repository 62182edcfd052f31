import { expect, test } from "vitest";
import { startSluice } from "./deployment.ts";

test("the demo, smaller: copies a live server, loses a writer half-way, and ends identical", async () => {
  await using demo = await startSluice(["demo", "--keys", "10000", "--rate", "2000", "--seconds", "8", "--seed", "1"]);
  const exit = await demo.exited;
  expect(demo.logTail()).toMatch(/\nidentical\n?$/);
  expect(exit).toEqual({ code: 0, signal: null });
});
