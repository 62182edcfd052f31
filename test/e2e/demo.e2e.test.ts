import { expect, test } from "vitest";
import { startSluice } from "./deployment.ts";

const SMALL = ["--keys", "10000", "--rate", "2000", "--seconds", "8", "--seed", "1"];

test.each(["cluster"])(
  "the demo, smaller, %s: copies a live source, loses a writer half-way, and ends identical",
  async (layout) => {
    await using demo = await startSluice(["demo", "--layout", layout, ...SMALL]);
    const exit = await demo.exited;
    expect(demo.logTail()).toMatch(/\nidentical\n?$/);
    expect(exit).toEqual({ code: 0, signal: null });
  },
);
