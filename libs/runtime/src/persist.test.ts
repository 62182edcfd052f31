import { expect, test } from "vitest";
import { Halt, Retryable, Stopped } from "./fault.ts";
import { ManualClock } from "./manual-clock.ts";
import { persist } from "./persist.ts";

function failing(times: number, fault: Error = new Retryable("BUS-001", "bus", "away")) {
  const clock = new ManualClock();
  const stopping = new AbortController();
  const waits: (string | null)[] = [];
  let calls = 0;
  const step = async (): Promise<number> => {
    calls++;
    if (calls <= times) throw fault;
    return Promise.resolve(calls);
  };
  const onWaiting = (reason: Retryable | null): void => void waits.push(reason?.code ?? null);
  return { clock, stopping, waits, result: persist(step, { clock, signal: stopping.signal, onWaiting }), calls: () => calls };
}

test("a step that goes well is told to nobody", async () => {
  const { result, waits } = failing(0);
  expect(await result).toBe(1);
  expect(waits).toEqual([]);
});

test("repeats with growing delay until it goes well, and says so", async () => {
  const { clock, result, waits, calls } = failing(3);
  await clock.advance(699);
  expect(calls()).toBe(3);
  await clock.advance(1);
  expect(await result).toBe(4);
  expect(waits).toEqual(["BUS-001", "BUS-001", "BUS-001", null]);
});

test.each([
  ["a halt", new Halt("BUS-003", "x")],
  ["an unknown error", new RangeError("x")],
  ["a lane that another took", new Retryable("BUS-002", "bus", "x")],
])("%s is not waited for", async (_name, fault) => {
  const { result, calls, waits } = failing(1, fault);
  await expect(result).rejects.toBe(fault);
  expect([calls(), waits]).toEqual([1, []]);
});

test("is stopped while it waits", async () => {
  const { clock, stopping, result, calls } = failing(100);
  const refused = result.catch((cause: unknown) => cause);
  await clock.advance(150);
  stopping.abort();
  expect(await refused).toBeInstanceOf(Stopped);
  expect(calls()).toBe(2);
});

test("does nothing where it was stopped before", async () => {
  const stopping = new AbortController();
  stopping.abort();
  const step = (): never => {
    throw new Error("was called");
  };
  await expect(persist(step, { clock: new ManualClock(), signal: stopping.signal })).rejects.toBeInstanceOf(Stopped);
});
