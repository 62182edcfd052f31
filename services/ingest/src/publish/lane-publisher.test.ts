import type { AppendResult, StoredMessage } from "@sluice/bus";
import { Retryable, Stopped, type Clock } from "@sluice/runtime";
import { expect, test } from "vitest";
import type { BatchQueue, ClosedBatch } from "../lanes/lane-batch.ts";
import { LanePublisher, LaneTaken, publishOne } from "./lane-publisher.ts";

const clock: Clock = {
  nowMs: () => 0,
  monotonicMs: () => 0,
  sleep: async () => new Promise((resolve) => setImmediate(resolve)),
};

type Behaviour = "store" | "refuse" | "lose" | "store silently" | "taken silently" | "full" | "tail fails";

/** One subject. Does what it is told, in order; afterwards it stores. */
class Log {
  readonly stored: Buffer[] = [];
  readonly behaviours: Behaviour[];
  inFlight = 0;
  mostInFlight = 0;
  appends = 0;

  constructor(...behaviours: Behaviour[]) {
    this.behaviours = behaviours;
  }

  async append(_subject: string, payload: Uint8Array, expectedSequence: number): Promise<AppendResult> {
    this.appends++;
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight);
    await new Promise((resolve) => setImmediate(resolve));
    this.inFlight--;
    const behaviour = this.behaviours.shift() ?? "store";
    const unknown: AppendResult = { outcome: "unknown", cause: new Error("timeout") };
    if (behaviour === "full") throw new Retryable("BUS-005", "bus", "full");
    if (behaviour === "taken silently") this.stored.push(Buffer.from("another's"));
    if (behaviour === "lose" || behaviour === "taken silently") return unknown;
    if (behaviour === "refuse" || expectedSequence !== this.stored.length) return { outcome: "refused" };
    this.stored.push(Buffer.from(payload));
    return behaviour === "store silently" ? unknown : { outcome: "stored", sequence: this.stored.length };
  }

  async tail(): Promise<StoredMessage | null> {
    await Promise.resolve();
    if (this.behaviours[0] === "tail fails") {
      this.behaviours.shift();
      throw new Retryable("BUS-001", "bus", "away");
    }
    const payload = this.stored.at(-1);
    return payload === undefined ? null : { sequence: this.stored.length, payload };
  }
}

/** A queue of ready batches that counts what it is told. */
class Queue implements BatchQueue {
  readonly #batches: string[];
  taken = 0;
  storedCount = 0;

  constructor(...batches: string[]) {
    this.#batches = batches;
  }

  take(): ClosedBatch | null {
    const next = this.#batches.shift();
    if (next === undefined) return null;
    if (this.taken !== this.storedCount) throw new Error("a second batch was taken before the first was stored");
    this.taken++;
    return { message: Buffer.from(next), from: 0 };
  }

  stored(): void {
    this.storedCount++;
  }
}

interface Outcome {
  readonly log: Log;
  readonly queue: Queue;
  readonly fault: unknown;
  readonly waits: (string | null)[];
}

/** Publishes until all is stored or it fails. */
async function publish(log: Log, queue: Queue, batches: number, sequence = 0): Promise<Outcome> {
  const waits: (string | null)[] = [];
  const fault = await new Promise((resolve) => {
    const publisher = new LanePublisher({
      log,
      queue,
      subject: "lane",
      sequence,
      clock,
      signal: new AbortController().signal,
      onStored: () => {
        if (queue.storedCount === batches) resolve(null);
      },
      onFailed: resolve,
      onWaiting: (waiting) => waits.push(waiting?.code ?? null),
    });
    for (let poke = 0; poke < 5; poke++) publisher.poke();
  });
  return { log, queue, fault, waits };
}

const texts = (log: Log): string[] => log.stored.map(String);

test("ordered-lane: batches go out one by one, in order, however often it is poked", async () => {
  const { log, fault, waits } = await publish(new Log(), new Queue("a", "b", "c"), 3);
  expect([fault, texts(log), log.mostInFlight, waits]).toEqual([null, ["a", "b", "c"], 1, []]);
});

test("applied-once: no answer although it was stored: found at the tail, not sent again", async () => {
  const { log, fault, waits } = await publish(new Log("store", "store silently"), new Queue("a", "b", "c"), 3);
  expect([fault, texts(log), log.appends, waits]).toEqual([null, ["a", "b", "c"], 3, ["BUS-001", null]]);
});

test("no answer and not stored: sent again, once the tail has been read", async () => {
  const { log, fault } = await publish(new Log("lose", "lose", "store", "lose", "tail fails"), new Queue("a", "b"), 2);
  expect([fault, texts(log)]).toEqual([null, ["a", "b"]]);
});

test("a full stream is waited for", async () => {
  const { log, fault, waits } = await publish(new Log("full", "full"), new Queue("a"), 1);
  expect([fault, texts(log), waits]).toEqual([null, ["a"], ["BUS-005", "BUS-005", null]]);
});

test("one-writer-per-lane: refused because another publishes: LaneTaken, and nothing more is published", async () => {
  const log = new Log();
  log.stored.push(Buffer.from("fence of another"));
  const { queue, fault } = await publish(log, new Queue("a", "b"), 2);
  expect(fault).toBeInstanceOf(LaneTaken);
  expect([texts(log), queue.taken, queue.storedCount, log.appends]).toEqual([["fence of another"], 1, 0, 1]);
});

test("one-writer-per-lane: another took the lane while an answer was missing: LaneTaken, and nothing more is published", async () => {
  const { log, queue, fault } = await publish(new Log("store", "taken silently"), new Queue("a", "b", "c"), 3);
  expect(fault).toBeInstanceOf(LaneTaken);
  expect([texts(log), queue.storedCount, log.appends]).toEqual([["a", "another's"], 1, 2]);
});

test("refused although the tail is the expected one, since an earlier try is on its way: sent again", async () => {
  const { log, queue, fault } = await publish(new Log("refuse", "store"), new Queue("a"), 1);
  expect(fault).toBeNull();
  expect([texts(log), queue.storedCount, log.appends]).toEqual([["a"], 1, 2]);
});

test("after it failed it publishes nothing any more", async () => {
  const log = new Log();
  log.stored.push(Buffer.from("fence of another"));
  const queue = new Queue("a", "b");
  const failed = await new Promise<LanePublisher>((resolve) => {
    const publisher: LanePublisher = new LanePublisher({
      log,
      queue,
      subject: "lane",
      sequence: 0,
      clock,
      signal: new AbortController().signal,
      onStored: () => undefined,
      onFailed: () => resolve(publisher),
      onWaiting: () => undefined,
    });
    publisher.poke();
  });
  failed.poke();
  await clock.sleep(0);
  await clock.sleep(0);
  expect([log.appends, queue.taken]).toEqual([1, 1]);
});

test("stops waiting when it is asked to", async () => {
  const stop = new AbortController();
  const options = {
    log: new Log("full"),
    subject: "lane",
    sequence: 0,
    clock,
    signal: stop.signal,
    onWaiting: () => stop.abort(),
  };
  await expect(publishOne(Buffer.from("a"), options)).rejects.toBeInstanceOf(Stopped);
});
