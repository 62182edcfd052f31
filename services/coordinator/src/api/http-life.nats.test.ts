import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Bus, Leases } from "@sluice/bus";
import { silentLog, supervise, systemClock } from "@sluice/runtime";
import { NatsServer, RedisServer, waitUntil } from "@sluice/testkit";
import {
  assignmentRecord,
  laneRecord,
  precheckReport,
  recordKey,
  shardRecord,
  specRecord,
  stateRecord,
  topologyRecord,
  type SpecRecord,
} from "@sluice/wire";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CoordinatorService } from "../coordinator-service.ts";
import { createApi } from "./api-server.ts";
import { SseReader } from "./sse-reader.sample.ts";

const run = promisify(execFile);
const [log, clock] = [silentLog(), systemClock];
const TOKEN = "a-token-of-our-own";

const stops: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const stop of stops.toReversed()) await stop();
});

let bus: Bus;
let source: RedisServer;
let destination: RedisServer;
let base: string;
beforeAll(async () => {
  const start = async <T extends AsyncDisposable>(starting: Promise<T>): Promise<T> => {
    const server = await starting;
    stops.push(async () => server[Symbol.asyncDispose]());
    return server;
  };
  const nats = await start(NatsServer.start());
  // Every check is content with it, but for warnings.
  source = await start(RedisServer.start({ config: { "repl-backlog-size": "64mb", user: "sluice on >hush ~* &* +@all" } }));
  destination = await start(RedisServer.start({ config: {} }));
  bus = await Bus.connect({ url: nats.url, name: "test", log });
  stops.push(() => bus.close());
  const leases = new Leases(bus.records, "c0", clock, log);
  const streamOf = (name: string) => bus.stream(name);
  const busFacts = async (name: string) => bus.facts(name);
  const deps = { records: bus.records, streamOf, busFacts, secretKey: Buffer.alloc(32, 7), clock, log };
  const coordinator = new CoordinatorService({ ...deps, leases });
  const stopping = new AbortController();
  const ended = supervise(coordinator, stopping.signal, clock, log);
  const api = createApi({ ...deps, active: () => coordinator.active, settings: { token: TOKEN, tls: null } });
  stops.push(async () => {
    await api.close();
    stopping.abort();
    await ended;
    leases.close();
  });
  base = await api.listen({ host: "127.0.0.1", port: 0 });
  await waitUntil("the coordinator is active", async () => (await fetch(`${base}/readyz`)).status === 200);
});

/** What a person types: `curl -X METHOD path`, with a body where there is one. The status and the answer. */
async function curl(method: string, path: string, body?: object): Promise<[status: number, answer: Record<string, unknown>]> {
  const sent = body === undefined ? [] : ["-H", "content-type: application/json", "-d", JSON.stringify(body)];
  const args = [
    "-s",
    "-X",
    method,
    "-H",
    `authorization: Bearer ${TOKEN}`,
    "-w",
    "\n%{http_code}",
    ...sent,
    `${base}/api/v1${path}`,
  ];
  const { stdout } = await run("curl", args);
  const end = stdout.lastIndexOf("\n");
  return [Number(stdout.slice(end + 1)), JSON.parse(stdout.slice(0, end)) as Record<string, unknown>];
}

/** Does what router, ingest and a writer would, once the pipeline shall run; gives all of it back when it shall stop. */
function workAsTold(): void {
  const work = async ({ desired }: SpecRecord): Promise<void> => {
    const isWanted = desired === "running";
    await bus.records.put(recordKey.assignment("p"), assignmentRecord, {
      shards: isWanted ? { s0: "i0" } : {},
      lanes: isWanted ? { "main.s0.0": "w0" } : {},
    });
    if (!isWanted) return;
    const info = await source.client().info("replication");
    const offset = Number(/master_repl_offset:(\d+)/.exec(info)?.[1]);
    const replid = /master_replid:(\w+)/.exec(info)?.[1] ?? "";
    const signs = { epoch: 1, copy: 1, retry: null, halt: null, at: 1, bytes: 0 };
    const shards = [{ id: "s0", host: "127.0.0.1", port: source.port, slots: "0-16383", floor: 0 }];
    await bus.records.put(recordKey.topology("p"), topologyRecord, { mode: "standalone", lanes: 1, shards, events: [] });
    await bus.records.put(recordKey.shard("p", "s0"), shardRecord, {
      ...signs,
      term: 1,
      instance: "i0",
      phase: "streaming",
      replid,
      storedOffset: offset,
      db: 0,
      copied: { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 },
      commands: 0,
    });
    await bus.records.put(recordKey.lane("p", "main.s0.0"), laneRecord, {
      ...signs,
      instance: "w0",
      phase: "live",
      offset,
      sequence: 1,
      keys: 0,
      units: 0,
      transactions: 0,
      stale: 0,
    });
  };
  const unwatch = bus.records.watch(recordKey.spec("p"), ({ value }) => {
    if (value !== null) void work(specRecord.parse(value));
  });
  stops.push(async () => Promise.resolve(unwatch()));
}

test("with nothing but curl a pipeline is created, checked, started, followed, stopped and deleted", async () => {
  workAsTold();
  const pipeline = {
    name: "p",
    source: { url: source.url, user: "sluice", password: "hush" },
    destinations: [{ url: destination.url }],
  };
  const [refused, why] = await curl("POST", "/prechecks", {
    ...pipeline,
    source: { ...pipeline.source, password: "not-this-one" },
  });
  expect([refused, why["verdict"]]).toEqual([200, "fail"]);
  expect(precheckReport.parse(why).results.find(({ level }) => level === "fail")).toMatchObject({ code: "SRC-002" });
  expect(JSON.stringify(why)).not.toContain("not-this-one");
  expect((await curl("GET", "/pipelines/p"))[0]).toBe(404);

  expect(await curl("POST", "/pipelines", { pipeline, start: false })).toEqual([201, { name: "p", outcome: "created" }]);
  expect((await curl("GET", "/pipelines/p"))[1]).toMatchObject({ state: "created", desired: "created" });
  const [checked, report] = await curl("POST", "/pipelines/p/precheck");
  expect([checked, precheckReport.parse(report).results.filter(({ level }) => level === "fail")]).toEqual([200, []]);
  expect((await curl("GET", "/pipelines/p/precheck"))[1]).toEqual(report);

  const reader = await SseReader.open(`${base}/api/v1/pipelines/p/events`, { authorization: `Bearer ${TOKEN}` });
  const state = async (wanted: string) =>
    reader.until(({ event, data }) => event === "state" && (JSON.parse(data) as { state: string }).state === wanted);
  await state("created");
  expect((await curl("POST", "/pipelines/p/start"))[0]).toBe(202);
  await state("synchronizing");
  const [, status] = await curl("GET", "/pipelines/p");
  expect(status).toMatchObject({ desired: "running", groups: [{ group: "main", isCopied: true, etaSeconds: 0 }], waits: [] });
  expect(JSON.stringify(status)).not.toContain("hush");
  const { stdout } = await run("curl", ["-s", "-H", `authorization: Bearer ${TOKEN}`, `${base}/metrics`]);
  expect(stdout).toContain('sluice_pipeline_state{pipeline="p",state="synchronizing"} 1\n');
  expect(stdout).toMatch(/^sluice_lag_seconds\{pipeline="p",group="main",shard="s0"\} \d/m);

  const [edited, answer] = await curl("PATCH", "/pipelines/p?dryRun", { limits: { concurrentFullSyncs: 2 } });
  expect([edited, answer]).toMatchObject([200, { changed: ["limits"], checkpoint: "kept", isChanged: false }]);
  expect((await curl("DELETE", "/pipelines/p"))[0]).toBe(409);
  expect((await curl("POST", "/pipelines/p/stop"))[0]).toBe(202);
  await state("stopped");
  const [, page] = await curl("GET", "/pipelines/p/events");
  expect((page["events"] as { text: string }[]).map(({ text }) => text)).toEqual(
    expect.arrayContaining(["created", "start asked for", "stop asked for"]),
  );
  await waitUntil("nothing of it is at work", async () => {
    const stopped = await bus.records.get(recordKey.state("p"), stateRecord);
    return stopped?.value.state === "stopped";
  });
  expect(await curl("DELETE", "/pipelines/p")).toEqual([200, { name: "p", outcome: "deleted", marksStay: true }]);
  expect(await reader.until(() => false).catch(String)).toContain("the stream has ended");
  expect((await curl("GET", "/pipelines"))[1]).toEqual({ pipelines: [] });
});
