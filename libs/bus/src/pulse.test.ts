import { ManualClock } from "@sluice/runtime";
import { expect, test } from "vitest";
import { Pulse } from "./pulse.ts";

test("counts the time since a revision last changed, each key by itself", async () => {
  const clock = new ManualClock();
  const pulse = new Pulse(clock);
  expect(pulse.silentMs("a")).toBeNull();
  pulse.beat("a", 1);
  await clock.advance(1_000);
  pulse.beat("b", 1);
  pulse.beat("a", 1);
  await clock.advance(500);
  expect([pulse.silentMs("a"), pulse.silentMs("b")]).toEqual([1_500, 500]);
  pulse.beat("a", 2);
  expect(pulse.silentMs("a")).toBe(0);
});

test("forgets who is gone, and counts anew when it comes back", async () => {
  const clock = new ManualClock();
  const pulse = new Pulse(clock);
  pulse.beat("a", 1);
  await clock.advance(1_000);
  pulse.gone("a");
  expect(pulse.silentMs("a")).toBeNull();
  pulse.beat("a", 1);
  expect(pulse.silentMs("a")).toBe(0);
});
