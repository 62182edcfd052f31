import { describe, expect, test } from "vitest";
import { Halt, Retryable, Stopped, type Fault } from "./fault.ts";
import { silentLog } from "./log.ts";
import { ManualClock } from "./manual-clock.ts";
import { backoffMs, supervise, type Actor } from "./run-loop.ts";

const away = new Retryable("BUS-001", "bus", "away");

/** Runs an actor whose runs go as told, one after the other; the last one ends well. */
function played(runs: readonly ((signal: AbortSignal, progress: () => void) => void | Promise<void>)[], told?: Partial<Actor>) {
  const clock = new ManualClock(0);
  const stopping = new AbortController();
  const events: string[] = [];
  let count = 0;
  const actor: Actor = {
    name: "a",
    run: async (signal, progress) => {
      events.push(`run ${clock.monotonicMs()}`);
      await runs[count++]?.(signal, progress);
    },
    retrying: (fault: Fault, since, delayMs) => void events.push(`retrying ${fault.code} since ${since} in ${delayMs}`),
    halted: (fault) => void events.push(`halted ${fault.code}`),
    recovered: () => void events.push("recovered"),
    ...told,
  };
  const log = silentLog();
  return { clock, stopping, events, ended: supervise(actor, stopping.signal, clock, log) };
}

const fail = (fault: unknown) => () => {
  throw fault;
};

test("the delay doubles from 100 ms up to 5 s, and grows up to 30 s when a minute has passed", () => {
  expect([1, 2, 3, 4, 5, 6, 7, 8, 18].map(backoffMs)).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
  expect([19, 20, 37, 38, 1000].map(backoffMs)).toEqual([5500, 6050, 30000, 30000, 30000]);
});

describe("supervise", () => {
  test("runs once what ends well", async () => {
    const { events, ended } = played([]);
    await ended;
    expect(events).toEqual(["run 0"]);
  });

  test("runs again what failed for now, later each time, with the time of the first failure", async () => {
    const { clock, events, ended } = played([fail(away), fail(away), fail(away)]);
    await clock.advance(10_000);
    await ended;
    expect(events).toEqual([
      "run 0",
      "retrying BUS-001 since 0 in 100",
      "run 100",
      "retrying BUS-001 since 0 in 200",
      "run 300",
      "retrying BUS-001 since 0 in 400",
      "run 700",
    ]);
  });

  test("counts anew after progress, and says that it recovered once", async () => {
    const goes = (_signal: AbortSignal, progress: () => void): void => {
      progress();
      progress();
      throw away;
    };
    const { clock, events, ended } = played([fail(away), fail(away), goes]);
    await clock.advance(10_000);
    await ended;
    expect(events.slice(4)).toEqual(["run 300", "recovered", "retrying BUS-001 since 300 in 100", "run 400"]);
  });

  test("does not say that it recovered from nothing", async () => {
    const { events, ended } = played([(_signal, progress) => progress()]);
    await ended;
    expect(events).toEqual(["run 0"]);
  });

  test.each([
    ["an error", new Error("x")],
    ["a text", "x"],
    ["nothing", undefined],
    ["an object without a prototype", Object.create(null)],
  ])("tries again after %s that is no fault, as SLU-001", async (_name, thrown: unknown) => {
    const { clock, events, ended } = played([fail(thrown)]);
    await clock.advance(100);
    await ended;
    expect(events).toEqual(["run 0", "retrying SLU-001 since 0 in 100", "run 100"]);
  });

  test("a halt is told once and ends it", async () => {
    const { events, ended } = played([fail(new Halt("SRC-006", "x"))]);
    await ended;
    expect(events).toEqual(["run 0", "halted SRC-006"]);
  });

  test("a stop is told to nobody and ends it", async () => {
    const { events, ended } = played([fail(new Stopped("SLU-003", "x"))]);
    await ended;
    expect(events).toEqual(["run 0"]);
  });

  test("ends while it waits to try again", async () => {
    const { clock, stopping, events, ended } = played([fail(away)]);
    await clock.advance(50);
    stopping.abort();
    await ended;
    expect(events).toEqual(["run 0", "retrying BUS-001 since 0 in 100"]);
    expect(clock.sleeping).toBe(0);
  });

  test("does not complain of what fails because it was stopped", async () => {
    const { stopping, events, ended } = played([
      async (signal) => {
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        throw new Error("closed");
      },
    ]);
    stopping.abort();
    await ended;
    expect(events).toEqual(["run 0"]);
  });

  test("never rejects, whatever the actor makes of what it is told", async () => {
    const broken = (): never => {
      throw new Error("broken");
    };
    const told = { retrying: broken, halted: broken, recovered: broken };
    const { clock, events, ended } = played(
      [fail(away), (_signal, progress) => progress(), fail(new Halt("SRC-006", "x"))],
      told,
    );
    await clock.advance(10_000);
    await ended;
    expect(events).toEqual(["run 0", "run 100"]);
    await expect(played([fail(new Halt("SRC-006", "x"))], told).ended).resolves.toBeUndefined();
  });
});
