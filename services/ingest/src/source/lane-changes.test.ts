import { setImmediate as turn } from "node:timers/promises";
import { ManualClock } from "@sluice/runtime";
import { SlotSet } from "@sluice/wire";
import { expect, test } from "vitest";
import { BacklogBound } from "../lanes/backlog-bound.ts";
import { stream } from "./change-reader.sample.ts";
import { LaneChanges } from "./lane-changes.ts";
import { ScriptBodies } from "./script-bodies.ts";
import { placeOf, StoredSubjects } from "./stored-subjects.sample.ts";

const START = 100;

/** The changes of one lane from START on, into a stream that has to be let store each of them. */
function world() {
  const stored = new StoredSubjects();
  let store = (): void => undefined;
  stored.beforeAppend = async () => new Promise((resolve) => (store = resolve));
  const clock = new ManualClock();
  const { signal } = new AbortController();
  const failed = (fault: unknown): never => {
    throw fault as Error;
  };
  const [told, backlog] = [{ onStored: () => undefined, onFailed: failed, onWaiting: () => undefined }, new BacklogBound()];
  const feed = { ...placeOf(stored, clock), ...told, log: stored.stream, copy: 1, maxBatchBytes: 100_000, backlog, signal };
  const head = { shard: "s0", epoch: 1, term: 1, replid: "r" };
  const lanes = { cut: 1, lanes: [0], ends: [{ sequence: 0, last: START, db: 0 }], slots: SlotSet.all() };
  const source = { shard: "s0", endpoint: { host: "a", port: 1 }, version: 70_015, offset: START, db: 0, besideCopy: false };
  const changes = new LaneChanges({ ...lanes, ...source, head, feed, scripts: new ScriptBodies(), clock, signal });
  const storeNext = async (): Promise<void> => {
    store();
    for (let looked = 0; looked < 20; looked++) await turn();
  };
  return { changes, store: storeNext };
}

// Mutation: lane-changes.ts, `storedOffset` is what was read: the record says so, of what the bus has not got yet.
test("stored-before-ack: what was read counts as stored only as the lanes have it", async () => {
  const { changes, store } = world();
  const [first, second] = [stream("SET a 1"), stream("SET b 1", "PING")];
  expect(changes.push(first)).toBeNull();
  changes.poke();
  expect(changes.push(second)).toBeNull();
  changes.poke();
  expect(changes.storedOffset).toBe(START);
  await store();
  expect(changes.storedOffset).toBe(START + first.length);
  await store();
  expect(changes.storedOffset).toBe(START + first.length + second.length);
});
