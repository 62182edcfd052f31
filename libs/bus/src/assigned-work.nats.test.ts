import { ManualClock, readServiceConfig, silentLog, systemClock, type Actor } from "@sluice/runtime";
import { NatsServer, waitUntil } from "@sluice/testkit";
import {
  assignmentRecord,
  memberRecord,
  recordKey,
  specRecord,
  topologyRecord,
  writtenSpec,
  type TopologyRecord,
} from "@sluice/wire";
import { expect, test } from "vitest";
import { z } from "zod";
import { runAssignedWork } from "./assigned-work.ts";
import { Bus } from "./bus.ts";
import { beMember } from "./member.ts";

const key = recordKey.assignment("p");
const shards = [{ id: "s0", host: "h", port: 1, slots: "0-16383", floor: 0 }];
const topology: TopologyRecord = { mode: "standalone", lanes: 1, shards, events: [] };

async function open(server: NatsServer) {
  const bus = await Bus.connect({ url: server.url, name: "test", log: silentLog() });
  for (const name of ["p", "q"]) {
    await wish(bus, "running", name);
    await bus.records.put(recordKey.topology(name), topologyRecord, topology);
  }
  return { bus, [Symbol.asyncDispose]: async () => bus.close() };
}

/** Writes the spec as a start or a stop does. */
async function wish(bus: Bus, desired: "running" | "stopped" | "paused", name = "p"): Promise<void> {
  const pipeline = { name, source: { url: "redis://a:1" }, destinations: [{ url: "redis://b:1" }] };
  await bus.records.put(recordKey.spec(name), specRecord, { pipeline, desired, createdAt: 1 });
}

function start(bus: Bus, create?: (name: string) => Promise<Actor>) {
  const running = new Set<string>();
  const stop = new AbortController();
  const actor = (name: string): Actor => ({
    name,
    run: async (signal) => {
      running.add(name);
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      running.delete(name);
    },
  });
  const config = readServiceConfig({ SLUICE_INSTANCE: "me", SLUICE_LOG_LEVEL: "silent" });
  const ended = runAssignedWork({
    context: { config, log: silentLog(), clock: systemClock, stopping: stop.signal },
    bus,
    service: "writer",
    pick: (assignment) => assignment.lanes,
    madeFrom: () => "",
    create: async (pipeline, work) => (create === undefined ? actor(`${pipeline}/${work}`) : create(`${pipeline}/${work}`)),
  });
  const assign = async (lanes: Record<string, string>): Promise<unknown> =>
    bus.records.put(key, assignmentRecord, { shards: {}, lanes });
  return { running, stop, ended, actor, assign };
}

const names = (running: ReadonlySet<string>): string => [...running].toSorted().join(" ");

test("runs what is assigned to it and nothing else, and is a member until it stops", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  const { bus } = held;
  const { running, stop, ended, assign } = start(bus);
  await waitUntil("it is a member", async () => bus.records.get(recordKey.member("writer", "me"), memberRecord));
  await assign({ "main.s0.0": "me", "main.s0.1": "other", "main.s0.2": "me" });
  await waitUntil("its work runs", () => names(running) === "p/main.s0.0 p/main.s0.2");
  await assign({ "main.s0.0": "other", "main.s0.1": "me", "main.s0.2": "me" });
  await waitUntil("it changes", () => names(running) === "p/main.s0.1 p/main.s0.2");
  const anything = z.unknown();
  await bus.records.put(key, anything, { lanes: "broken" });
  await bus.records.put(recordKey.assignment("q"), assignmentRecord, { shards: {}, lanes: { "main.s0.0": "me" } });
  await waitUntil("a broken assignment changes nothing", () => names(running) === "p/main.s0.1 p/main.s0.2 q/main.s0.0");
  await bus.records.remove(key);
  await waitUntil("what is no longer assigned ends", () => names(running) === "q/main.s0.0");
  stop.abort();
  await ended;
  expect(names(running)).toBe("");
  expect(await bus.records.get(recordKey.member("writer", "me"), memberRecord)).toBeNull();
});

test("goes on through a restart of the bus", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  const { running, stop, ended, assign } = start(held.bus);
  await assign({ "main.s0.0": "me" });
  await waitUntil("it runs", () => running.size === 1);
  await server.restart("SIGKILL");
  await waitUntil("it is assigned", async () => assign({ "main.s0.0": "me", "main.s0.1": "me" }));
  await waitUntil("the new work runs", () => running.size === 2);
  stop.abort();
  await ended;
  expect(running.size).toBe(0);
});

test("asks again for an actor that could not be made", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  let asked = 0;
  const work = start(held.bus, async (name) => {
    asked++;
    if (asked < 3) throw new Error("not yet");
    return Promise.resolve(work.actor(name));
  });
  await work.assign({ "main.s0.0": "me" });
  await waitUntil("it runs", () => work.running.size === 1);
  expect(asked).toBe(3);
  work.stop.abort();
  await work.ended;
});

// Mutation: assigned-work.ts, made although no topology was seen: made at once and again when that is, so that ingest's first link breaks off.
test("nothing is made before the topology was seen that it is made from", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  const { records } = held.bus;
  await records.remove(recordKey.topology("p"));
  const made: string[] = [];
  const work = start(held.bus, async (name) => {
    made.push(name);
    return Promise.resolve(work.actor(name));
  });
  await work.assign({ "main.s0.0": "me" });
  await records.put(recordKey.assignment("q"), assignmentRecord, { shards: {}, lanes: { "main.s0.0": "me" } });
  await waitUntil("the other pipeline's work runs", () => names(work.running).includes("q/main.s0.0"));
  await records.put(recordKey.topology("p"), topologyRecord, topology);
  await waitUntil("its work runs", () => work.running.size === 2);
  work.stop.abort();
  await work.ended;
  expect(made).toEqual(["q/main.s0.0", "p/main.s0.0"]);
});

// Mutation: assigned-work.ts, a resume as any other start: ingest breaks off the copy that it is in.
test("a pause and a resume leave alone what works, and make anew what had ended", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  const made: string[] = [];
  const work = start(held.bus, async (name) => {
    made.push(name);
    return Promise.resolve(name === "p/main.s0.0" ? { name, run: async () => Promise.resolve() } : work.actor(name));
  });
  const both = ["p/main.s0.0", "p/main.s0.1"];
  await work.assign({ "main.s0.0": "me", "main.s0.1": "me" });
  await waitUntil("both are made", () => made.length === 2 && names(work.running) === "p/main.s0.1");
  await wish(held.bus, "paused");
  await waitUntil("what had ended is made anew", () => made.length === 3);
  await wish(held.bus, "running");
  await waitUntil("it is again", () => made.length === 4);
  await server.restart("SIGKILL");
  await waitUntil("it is assigned", async () => work.assign({ "main.s0.0": "me", "main.s0.1": "me", "main.s0.2": "me" }));
  await waitUntil("the third is made", () => names(work.running) === "p/main.s0.1 p/main.s0.2");
  expect(made).toEqual([...both, "p/main.s0.0", "p/main.s0.0", "p/main.s0.2"]);
  work.stop.abort();
  await work.ended;
});

test("every start of a pipeline makes its actors anew, a stop does not", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  const made: string[] = [];
  const work = start(held.bus, async (name) => {
    made.push(name);
    // As one that halted: it ended by itself, and is not run again while it stays wanted.
    return Promise.resolve(name === "p/main.s0.0" ? { name, run: async () => Promise.resolve() } : work.actor(name));
  });
  const both = ["p/main.s0.0", "p/main.s0.1"];
  await work.assign({ "main.s0.0": "me", "main.s0.1": "me" });
  await waitUntil("both are made", () => made.length === 2);
  await wish(held.bus, "stopped");
  await work.assign({ "main.s0.0": "me", "main.s0.1": "me", "main.s0.2": "me" });
  await waitUntil("the third is made", () => made.length > 2 && names(work.running) === "p/main.s0.1 p/main.s0.2");
  expect(made).toEqual([...both, "p/main.s0.2"]);
  await wish(held.bus, "running");
  await waitUntil("all are made anew", () => made.length === 6);
  expect(made.slice(3).toSorted()).toEqual([...both, "p/main.s0.2"]);
  // A change that is told again, as after an outage of the bus, is none.
  await server.restart("SIGKILL");
  await waitUntil("more is assigned", async () =>
    work.assign({ "main.s0.0": "me", "main.s0.1": "me", "main.s0.2": "me", "main.s0.3": "me" }),
  );
  await waitUntil("it runs", () => work.running.has("p/main.s0.3"));
  expect(made.slice(6)).toEqual(["p/main.s0.3"]);
  work.stop.abort();
  await work.ended;
});

test("stops although an actor is being made, and does not start it", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  let make: (() => void) | undefined;
  const work = start(held.bus, async (name) => {
    await new Promise<void>((resolve) => (make = resolve));
    return work.actor(name);
  });
  await work.assign({ "main.s0.0": "me" });
  await waitUntil("it is being made", () => make !== undefined);
  work.stop.abort();
  await work.ended;
  make?.();
  await held.bus.records.get(key, assignmentRecord);
  expect(work.running.size).toBe(0);
});

test("an actor that ends while another is being made does not end the service", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  let finish: (() => void) | undefined;
  let make: (() => void) | undefined;
  let isAskedToStop = false;
  const work = start(held.bus, async (name) => {
    if (name === "p/main.s0.1") await new Promise<void>((resolve) => (make = resolve));
    if (name !== "p/main.s0.0" || finish !== undefined) return work.actor(name);
    const run = async (signal: AbortSignal): Promise<void> => {
      signal.addEventListener("abort", () => (isAskedToStop = true));
      await new Promise<void>((resolve) => (finish = resolve));
    };
    return { name, run };
  });
  await work.assign({ "main.s0.0": "me" });
  await waitUntil("the first runs", () => finish !== undefined);
  await work.assign({});
  await waitUntil("the first is asked to stop", () => isAskedToStop);
  await work.assign({ "main.s0.0": "me", "main.s0.1": "me" });
  await waitUntil("the second is being made", () => make !== undefined);
  finish?.();
  make?.();
  await waitUntil("both run", () => names(work.running) === "p/main.s0.0 p/main.s0.1");
  work.stop.abort();
  await work.ended;
  expect(work.running.size).toBe(0);
});

test("a member says so every second, through an outage, and takes its record away at the end", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  const { records } = held.bus;
  const clock = new ManualClock();
  const stop = new AbortController();
  const name = recordKey.member("writer", "m");
  const member = beMember(records, "writer", "m", clock, stop.signal);
  const first = await waitUntil("the first sign", async () => records.get(name, memberRecord));
  expect(first.value).toMatchObject({ service: "writer", instance: "m", pid: process.pid, startedAt: clock.nowMs() });
  const second = await waitUntil("the next", async () => {
    await clock.advance(1_000);
    const found = await records.get(name, memberRecord);
    return found !== null && found.revision > first.revision ? found : null;
  });
  await server.kill();
  await waitUntil("the loss is seen", async () =>
    records.get(name, memberRecord).then(
      () => false,
      () => true,
    ),
  );
  await clock.advance(3_000);
  await server.restart();
  await waitUntil("it goes on", async () => {
    await clock.advance(1_000);
    return ((await records.get(name, memberRecord))?.revision ?? 0) > second.revision;
  });
  stop.abort();
  await member;
  expect(await records.get(name, memberRecord)).toBeNull();
});

// Mutation: assigned-work.ts, `isOthers` false: whatever runs is made anew when a group comes; `madeFrom` without the spec: work of a group that
// comes again goes on as its former self.
test("where groups alone come or go, what runs for the others goes on; the work of one that comes again is made anew", async () => {
  await using server = await NatsServer.start();
  await using held = await open(server);
  const { bus } = held;
  const made: string[] = [];
  const stop = new AbortController();
  const actor = (name: string): Actor => ({
    name,
    run: async (signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true })),
  });
  const ended = runAssignedWork({
    context: {
      config: readServiceConfig({ SLUICE_INSTANCE: "me", SLUICE_LOG_LEVEL: "silent" }),
      log: silentLog(),
      clock: systemClock,
      stopping: stop.signal,
    },
    bus,
    service: "writer",
    pick: (assignment) => assignment.lanes,
    madeFrom: (_topology, work, { additions }) => String(additions?.[work.split(".")[0] ?? ""]?.number),
    create: async (_pipeline, work) => {
      made.push(work);
      return Promise.resolve(actor(`p/${work}`));
    },
  });
  await bus.records.put(key, assignmentRecord, { shards: {}, lanes: { "main.s0.0": "me" } });
  await waitUntil("it runs", () => made.length === 1);
  const first = await bus.records.get(recordKey.spec("p"), writtenSpec);
  const put = async (more: object): Promise<unknown> =>
    bus.records.put(recordKey.spec("p"), specRecord, { ...first!.value, ...more });
  await put({ madeRevision: first!.revision, additions: { more: { number: 1, above: 0 } } });
  await bus.records.put(key, assignmentRecord, { shards: {}, lanes: { "main.s0.0": "me", "more.s0.0": "me" } });
  await waitUntil("the group's work runs", () => made.length === 2);
  await put({ madeRevision: first!.revision, additions: { more: { number: 2, above: 0 } } });
  await waitUntil("it is made anew", () => made.length === 3);
  expect(made).toEqual(["main.s0.0", "more.s0.0", "more.s0.0"]);
  await put({ additions: { more: { number: 2, above: 0 } } });
  await waitUntil("a start makes all anew", () => made.length === 5);
  stop.abort();
  await ended;
});
