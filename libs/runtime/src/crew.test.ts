import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Crew } from "./crew.ts";
import { Halt } from "./fault.ts";
import { silentLog } from "./log.ts";
import { ManualClock } from "./manual-clock.ts";
import type { Actor } from "./run-loop.ts";

/** A crew whose actors run until they are told to end by `finish`, however long ago they were asked to stop. */
function open() {
  const events: string[] = [];
  const finish = new Map<string, (failure?: Error) => void>();
  const create = (name: string): Actor => ({
    name,
    run: async (signal) => {
      events.push(`${name} runs`);
      signal.addEventListener("abort", () => events.push(`${name} is asked to stop`));
      await new Promise<void>((resolve, reject) => {
        finish.set(name, (failure) => (failure === undefined ? resolve() : reject(failure)));
      });
      events.push(`${name} ends`);
    },
  });
  const crew = new Crew(new ManualClock(), silentLog());
  const keep = async (...names: string[]): Promise<void> => {
    crew.keep(new Set(names), create);
    await turn();
  };
  const end = async (name: string, failure?: Error): Promise<void> => {
    finish.get(name)?.(failure);
    await turn();
  };
  return { crew, events, keep, end };
}

describe("a crew", () => {
  test("starts what is missing and stops what is no longer wanted", async () => {
    const { crew, events, keep, end } = open();
    await keep("a", "b");
    await keep("b", "c");
    expect(events).toEqual(["a runs", "b runs", "a is asked to stop", "c runs"]);
    await end("a");
    expect(crew.names).toEqual(["b", "c"]);
  });

  test("leaves alone what goes on being wanted", async () => {
    const { events, keep } = open();
    await keep("a");
    await keep("a");
    expect(events).toEqual(["a runs"]);
  });

  test("starts a successor only when its predecessor has ended", async () => {
    const { events, keep, end } = open();
    await keep("a");
    await keep();
    await keep("a");
    await keep();
    expect(events).toEqual(["a runs", "a is asked to stop"]);
    await end("a");
    expect(events).toEqual(["a runs", "a is asked to stop", "a ends"]);
    await keep("a");
    expect(events.at(-1)).toBe("a runs");
  });

  test.each([
    ["ended", undefined],
    ["halted", new Halt("SRC-006", "x")],
  ])("does not start again what %s by itself, until it was unwanted for once", async (_how, failure) => {
    const { crew, events, keep, end } = open();
    await keep("a");
    await end("a", failure);
    expect([crew.hasEnded("a"), crew.hasEnded("b")]).toEqual([true, true]);
    await keep("a", "c");
    expect(events.filter((event) => event === "a runs")).toHaveLength(1);
    expect(crew.hasEnded("c")).toBe(false);
    await keep();
    await end("c");
    await keep("a");
    expect(events.filter((event) => event === "a runs")).toHaveLength(2);
  });

  test("has stopped when all have ended, those that were dismissed before included", async () => {
    const { crew, events, keep, end } = open();
    await keep("a", "b");
    await keep("b");
    let hasStopped = false;
    const stopped = crew.stop().then(() => (hasStopped = true));
    await end("b");
    expect(hasStopped).toBe(false);
    await end("a");
    await stopped;
    expect(events.slice(-2)).toEqual(["b ends", "a ends"]);
  });

  test("begins anew when it has stopped, also with what had ended by itself", async () => {
    const { crew, events, keep, end } = open();
    await keep("a", "b");
    await end("b", new Halt("SRC-006", "x"));
    const stopped = crew.stop();
    await end("a");
    await stopped;
    expect(crew.names).toEqual([]);
    await keep("a", "b");
    expect(events.slice(-2)).toEqual(["a runs", "b runs"]);
  });
});
