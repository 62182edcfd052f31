import { ManualClock, silentLog, type Clock, Retryable } from "@sluice/runtime";
import { NatsServer, waitUntil } from "@sluice/testkit";
import { leaseRecord, recordKey } from "@sluice/wire";
import { describe, expect, test } from "vitest";
import { Bus } from "./bus.ts";
import { Leases, type HeldLease } from "./leases.ts";

const key = recordKey.lease("router");
const never = new AbortController().signal;

async function open(server: NatsServer, holder: string, clock: Clock = new ManualClock()) {
  const bus = await Bus.connect({ url: server.url, name: holder, log: silentLog() });
  const leases = new Leases(bus.records, holder, clock, silentLog());
  return {
    bus,
    leases,
    acquire: async (): Promise<HeldLease> => (await leases.acquire("router", never)) as HeldLease,
    [Symbol.asyncDispose]: async () => {
      leases.close();
      await bus.close();
    },
  };
}

type Held = Awaited<ReturnType<typeof open>>;

const stored = async ({ bus }: Held): Promise<{ holder: string; revision: number } | null> => {
  const record = await bus.records.get(key, leaseRecord);
  return record === null ? null : { holder: record.value.holder, revision: record.revision };
};

/**
 * Moves the clock in small steps, as time passes, until `condition` holds; how far it was moved. Where the bus answers `answered`, what was
 * asked for in one step is answered before the next one.
 */
async function moveUntil(
  clock: ManualClock,
  what: string,
  condition: () => Promise<boolean> | boolean,
  answered?: Held,
): Promise<number> {
  const startedMs = clock.monotonicMs();
  await waitUntil(what, async () => {
    if (await condition()) return true;
    await clock.advance(100);
    if (answered !== undefined) await stored(answered);
    return false;
  });
  return clock.monotonicMs() - startedMs;
}

/** Moves the clock by `ms` as time passes where the bus answers: what is asked for in one step is answered before many more. */
async function moveAlong(clock: ManualClock, held: Held, ms: number): Promise<void> {
  for (let moved = 0; moved < ms; moved += 100) {
    await clock.advance(100);
    await stored(held);
  }
}

test("one of two holds it, and hands it over at once when it gives it back", async () => {
  await using server = await NatsServer.start();
  const clock = new ManualClock();
  await using a = await open(server, "a", clock);
  await using b = await open(server, "b", clock);
  const first = await a.acquire();
  const second = b.acquire();
  let isTaken = false;
  void second.then(() => (isTaken = true));
  // Long beyond the lease's time: the holder renews in time.
  await moveAlong(clock, a, 10_000);
  expect(isTaken).toBe(false);
  expect(first.lost.aborted).toBe(false);
  await first.release();
  await first.release();
  expect(await moveUntil(clock, "the other takes it", () => isTaken, b)).toBeLessThan(1_500);
  expect(first.lost.aborted).toBe(false);
  expect((await stored(b))?.holder).toBe("b");
  await (await second).release();
  expect(await stored(b)).toBeNull();
});

test("the other takes it when the holder is silent, not before 4 s, and the holder is told when it wakes up", async () => {
  await using server = await NatsServer.start();
  const [asleep, awake] = [new ManualClock(), new ManualClock()];
  await using a = await open(server, "a", asleep);
  await using b = await open(server, "b", awake);
  const first = await a.acquire();
  const second = b.acquire();
  let isTaken = false;
  void second.then(() => (isTaken = true));
  const waitedMs = await moveUntil(awake, "the other takes it", () => isTaken);
  expect(waitedMs).toBeGreaterThanOrEqual(4_000);
  expect(first.lost.aborted).toBe(false);
  await asleep.advance(1_000);
  await waitUntil("it is told", () => first.lost.aborted);
  await first.release();
  expect((await stored(b))?.holder).toBe("b");
  await (await second).release();
});

test("a holder that slept keeps it where nobody else took it", async () => {
  await using server = await NatsServer.start();
  const clock = new ManualClock();
  await using a = await open(server, "a", clock);
  const lease = await a.acquire();
  const before = (await stored(a))?.revision ?? 0;
  await clock.advance(1_000);
  await waitUntil("it is renewed", async () => ((await stored(a))?.revision ?? 0) > before);
  expect(lease.lost.aborted).toBe(false);
  await lease.release();
});

test("a renewal whose answer was lost is not taken for another's, and the next goes on from it", async () => {
  await using server = await NatsServer.start();
  const clock = new ManualClock();
  await using a = await open(server, "a", clock);
  const lease = await a.acquire();
  // As if this holder had written and never heard of it.
  const unheard = await a.bus.records.put(key, leaseRecord, { holder: "a" });
  await clock.advance(1_000);
  await waitUntil("it is renewed", async () => ((await stored(a))?.revision ?? 0) > unheard);
  expect(lease.lost.aborted).toBe(false);
  await lease.release();
  expect(await stored(a)).toBeNull();
});

describe("when the bus is away", () => {
  test("for less than the lease's time it is kept", async () => {
    await using server = await NatsServer.start();
    const clock = new ManualClock();
    await using a = await open(server, "a", clock);
    const lease = await a.acquire();
    await server.kill();
    await waitUntil("the loss is seen", async () =>
      stored(a).then(
        () => false,
        () => true,
      ),
    );
    await clock.advance(1_500);
    expect(lease.lost.aborted).toBe(false);
    await server.restart();
    await waitUntil("the bus is back", async () => stored(a));
    await moveAlong(clock, a, 10_000);
    expect(lease.lost.aborted).toBe(false);
    expect((await stored(a))?.holder).toBe("a");
    await lease.release();
  });

  test.each([
    ["gone", async (server: NatsServer) => void (await server.kill())],
    ["standing still", async (server: NatsServer) => Promise.resolve(server.pause())],
  ])("for longer, it is lost before another may take it: the server is %s", async (_how, harm) => {
    await using server = await NatsServer.start();
    const clock = new ManualClock();
    await using a = await open(server, "a", clock);
    const lease = await a.acquire();
    await harm(server);
    const keptMs = await moveUntil(clock, "it is told", () => lease.lost.aborted);
    expect(keptMs).toBeGreaterThanOrEqual(2_900);
    // A server that is told to stand still may answer the first renewal yet.
    expect(keptMs).toBeLessThanOrEqual(4_100);
    await lease.release();
  });
});

test.each([
  ["removed", async (held: Held) => held.bus.records.remove(key)],
  ["taken by another", async (held: Held) => void (await held.bus.records.put(key, leaseRecord, { holder: "z" }))],
])("a lease whose record was %s is lost at the next renewal", async (_how, harm) => {
  await using server = await NatsServer.start();
  const clock = new ManualClock();
  await using a = await open(server, "a", clock);
  const lease = await a.acquire();
  await harm(a);
  await clock.advance(1_000);
  await waitUntil("it is told", () => lease.lost.aborted);
  await lease.release();
  expect((await stored(a))?.holder).not.toBe("a");
});

test("a record that is broken loses the lease and ends no process", async () => {
  await using server = await NatsServer.start();
  const clock = new ManualClock();
  await using a = await open(server, "a", clock);
  const lease = await a.acquire();
  const loose = leaseRecord.loose().partial();
  await a.bus.records.put(key, loose, { owner: "z" });
  await clock.advance(1_000);
  await waitUntil("it is told", () => lease.lost.aborted);
  await expect(a.acquire()).rejects.toThrow("record lease.router is not what this release writes: holder: ");
});

test("waiting for a lease ends with null when it is asked to stop", async () => {
  await using server = await NatsServer.start();
  const clock = new ManualClock();
  await using a = await open(server, "a", clock);
  await using b = await open(server, "b", clock);
  const lease = await a.acquire();
  const stopping = new AbortController();
  const waiting = b.leases.acquire("router", stopping.signal);
  await waitUntil("it waits", () => clock.sleeping >= 2);
  stopping.abort();
  expect(await waiting).toBeNull();
  await lease.release();
});

test("work under a lease ends when it is lost and is told to be taken again", async () => {
  await using server = await NatsServer.start();
  const clock = new ManualClock();
  await using a = await open(server, "a", clock);
  let [isAtWork, hasEnded] = [false, false];
  const working = a.leases.during("router", new AbortController().signal, async (signal) => {
    isAtWork = true;
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    hasEnded = true;
  });
  const outcome = working.then(
    () => "ended",
    (fault: unknown) => fault,
  );
  await waitUntil("it works", () => isAtWork);
  await a.bus.records.put(key, leaseRecord, { holder: "z" });
  await clock.advance(1_000);
  expect(await outcome).toBeInstanceOf(Retryable);
  expect(hasEnded).toBe(true);
});

test("work under a lease ends without a fault when it is asked to stop, and gives the lease back", async () => {
  await using server = await NatsServer.start();
  await using a = await open(server, "a", new ManualClock());
  const stopping = new AbortController();
  let isAtWork = false;
  const working = a.leases.during("router", stopping.signal, async (signal) => {
    isAtWork = true;
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  });
  // Its record may stand there before it is told that it has the lease.
  await waitUntil("it works", () => isAtWork);
  expect((await stored(a))?.holder).toBe("a");
  stopping.abort();
  await working;
  expect(await stored(a)).toBeNull();
});
