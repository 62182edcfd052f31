import { Bus } from "@sluice/bus";
import { silentLog } from "@sluice/runtime";
import { compareDeployments, freePort, NatsServer, preload, RedisServer, TcpProxy, Workload } from "@sluice/testkit";
import { expiryWithGrace, recordFilter, type PipelineState, type PipelineStatus } from "@sluice/wire";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Services, StatusClient } from "./deployment.ts";

const KEYS = 300;
const RATE = 200;
/** What makes a copy at `SLOW_COPY` last for longer than a takeover. */
const BULK_KEYS = 24;
const BULK_BYTES = 64 * 1024;
const SLOW_COPY = "160KiB";
/** How long an endpoint is waited for stands in a record that is written so often. */
const WRITTEN_SECONDS = 5;
const WINDOW_SECONDS = 720 * 60;

/** How long the only endpoint that is waited for has been. */
function waitedSeconds({ waits }: PipelineStatus): number {
  return WINDOW_SECONDS - (waits[0]?.secondsLeft ?? WINDOW_SECONDS);
}

const is =
  (wanted: PipelineState) =>
  ({ state }: PipelineStatus): boolean =>
    state === wanted;

/** A destination that can be cut off without losing what it holds. */
class Destination implements AsyncDisposable {
  readonly server: RedisServer;
  readonly proxy: TcpProxy;

  private constructor(server: RedisServer, proxy: TcpProxy) {
    this.server = server;
    this.proxy = proxy;
  }

  static async start(): Promise<Destination> {
    const server = await RedisServer.start();
    return new Destination(server, await TcpProxy.start({ to: { host: "127.0.0.1", port: server.port } }));
  }

  get url(): string {
    return `redis://127.0.0.1:${this.proxy.port}`;
  }

  leave(): void {
    this.proxy.refuse();
    this.proxy.cut();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

const started: AsyncDisposable[] = [];
const destinations = new Map<string, Destination>();
let nats: NatsServer;
let source: RedisServer;
let bus: Bus;
let services: Services;
let status: StatusClient;

function disposed<T extends AsyncDisposable>(one: T): T {
  started.push(one);
  return one;
}

beforeAll(async () => {
  [nats, source] = await Promise.all([NatsServer.start(), RedisServer.start({ config: { "repl-backlog-size": "32mb" } })]);
  disposed(nats);
  disposed(source);
  await preload(source.client(), { keys: KEYS, databases: [0], seed: 501, singleSlot: false });
  bus = await Bus.connect({ url: nats.url, name: "test", log: silentLog() });
  services = disposed(await Services.start(nats.url, { ingests: 0, writers: 0 }));
  ({ status } = services);
});
afterAll(async () => {
  await bus.close();
  for (const one of started.toReversed()) await one[Symbol.asyncDispose]();
});

/** A pipeline from the source to a destination of its own, by name. */
async function pipelineOf(name: string, more: object = {}): Promise<object> {
  const destination = destinations.get(name) ?? disposed(await Destination.start());
  destinations.set(name, destination);
  return { name, source: { url: source.url }, destinations: [{ url: destination.url }], ...more };
}

async function create(name: string, more: object = {}): Promise<void> {
  await status.create(await pipelineOf(name, more));
}

async function keep(name: string): Promise<void> {
  await status.create({ pipeline: await pipelineOf(name), start: false });
}

async function accepted(name: string, action: string, body: object = {}): Promise<void> {
  expect(await status.post(name, action, body)).toMatchObject({
    code: expect.toSatisfy((code) => code === 202 || code === 200) as number,
  });
}

function destinationOf(name: string): Destination {
  const found = destinations.get(name);
  if (found === undefined) throw new Error(`no destination of ${name}`);
  return found;
}

/** kill -9 of the active coordinator and router, at the same moment. */
async function killBoth(number: 1 | 2): Promise<void> {
  await Promise.all([services.of(`coordinator-${number}`).kill(), services.of(`router-${number}`).kill()]);
}

async function untilAll(names: readonly string[], wanted: PipelineState): Promise<void> {
  await Promise.all(names.map(async (name) => status.until(name, wanted, is(wanted))));
}

/** It holds what the source holds, by one copy. The source is quiet. */
async function expectIdentical(name: string): Promise<void> {
  const { expiryGraceMs, shards } = await status.drained(name);
  const comparison = await compareDeployments(source, destinationOf(name).server, {
    source,
    expiryOf: (expireAtMs) => expiryWithGrace(expireAtMs, expiryGraceMs),
  });
  expect([name, comparison.differences]).toEqual([name, []]);
  expect(comparison.keys).toBeGreaterThan(KEYS);
  expect([name, shards.map(({ epoch }) => epoch)], "no second full copy").toEqual([name, [1]]);
}

// Mutation: services/coordinator/src/lifecycle/prechecking.ts, `step` runs nothing where the state is `prechecking` already: checks that were
// under way are never made again.
test("killed before anything runs: created stays, prechecking and ready go on by themselves, blocked waits for what blocks it", async () => {
  await keep("kept");
  const blocked = await pipelineOf("blocked");
  await destinationOf("blocked").server.client().set("somebody's", "key");
  await status.create(blocked);
  await create("ready");
  await untilAll(["ready"], "ready");
  await untilAll(["blocked"], "blocked");
  // Last: its prechecks are over when its destination has not answered for some seconds.
  const asked = await pipelineOf("asked");
  destinationOf("asked").proxy.pause();
  await status.create(asked);
  await untilAll(["asked"], "prechecking");

  await killBoth(1);
  await destinationOf("asked").proxy.clear();
  await services.add("router", "router-1");
  await services.add("coordinator", "coordinator-1", ["--listen", services.api]);
  await status.until("asked", "its prechecks are made again", is("ready"));
  expect(await status.get("kept")).toMatchObject({ state: "created", desired: "created" });
  expect(await status.get("blocked")).toMatchObject({ state: "blocked", desired: "checking" });

  await destinationOf("blocked").server.client().flushall();
  await accepted("blocked", "precheck");
  await accepted("kept", "start");
  await services.add("ingest", "ingest-1");
  await services.add("writer", "writer-1");
  await untilAll(["kept", "asked", "blocked", "ready"], "synchronizing");
});

// Mutations:
// - services/coordinator/src/lifecycle/window-keeper.ts, `#begin`: windows that another has counted are not carried on.
// - services/router/src/lanes/wanted-work.ts: nothing runs for what shall stop: it stops with less than was stored.
test("killed while they run, or end: a standby takes over, and each goes where it was asked to", async () => {
  const impatient = { retryWindow: { source: "720m", destination: "1s", bus: "720m" } };
  await Promise.all(
    ["steady", "paused", "stopped", "over", "settling", "cutting", "deleting"].map(async (name) => create(name)),
  );
  await Promise.all([create("away"), create("failed", impatient)]);
  await untilAll(["steady", "paused", "stopped", "over", "settling", "cutting", "deleting", "away", "failed"], "synchronizing");
  const bulk = Array.from({ length: BULK_KEYS }, async (_, index) => source.client().set(`bulk:${index}`, randomText(index)));
  await Promise.all(bulk);
  await using load = new Workload({ url: source.url, seed: 502, ratePerSecond: RATE });
  await load.start();
  const api2 = `127.0.0.1:${await freePort()}`;
  await services.add("coordinator", "coordinator-2", ["--listen", api2]);
  await services.add("router", "router-2");
  for (const name of ["away", "failed"]) destinationOf(name).leave();
  for (const name of ["asked", "blocked", "paused"]) await accepted(name, "pause");
  for (const name of ["stopped", "over", "settling"]) await accepted(name, "stop");
  const endOver = async (): Promise<void> => {
    await untilAll(["over"], "stopped");
    await accepted("over", "cutover", { force: true });
    await untilAll(["over"], "cut-over");
  };
  const isLongAway = (seen: PipelineStatus): boolean => is("retrying")(seen) && waitedSeconds(seen) > WRITTEN_SECONDS + 1;
  await Promise.all([
    endOver(),
    untilAll(["stopped", "settling"], "stopped"),
    untilAll(["asked", "blocked", "paused"], "paused"),
    untilAll(["failed"], "failed"),
    status.until("away", "retrying for a while", isLongAway),
  ]);
  await create("copying", { limits: { copyBytesPerSecond: SLOW_COPY } });
  await status.until("copying", "it copies", ({ shards }) => shards[0]?.phase === "copying");
  // The answer never comes. A deletion takes seconds, and is to be under way when both are killed: what else is asked for is asked meanwhile.
  const deletion = fetch(`http://${services.api}/api/v1/pipelines/deleting?force=true`, { method: "DELETE" }).catch(() => null);
  // What was stored during its pause is applied before it stops.
  await Promise.all([
    status.until("deleting", "its deletion is under way", ({ desired }) => desired === "failed"),
    accepted("kept", "pause"),
    accepted("asked", "stop"),
    accepted("blocked", "resume"),
    accepted("settling", "cutover", { force: true }),
    accepted("cutting", "cutover"),
  ]);

  await killBoth(1);
  await deletion;
  status = new StatusClient(api2);
  await status.until("steady", "the standby answers", is("synchronizing"));
  expect(waitedSeconds(await status.get("away")), "the countdown goes on").toBeGreaterThan(WRITTEN_SECONDS);
  expect(await status.get("copying"), "in the midst of it").toMatchObject({ state: "copying" });
  await untilAll(["kept", "paused"], "paused");
  await untilAll(["asked", "stopped"], "stopped");
  for (const name of ["asked", "stopped"]) expect((await status.get(name)).reason).toContain("all that was read");
  await untilAll(["over", "settling"], "cut-over");
  await untilAll(["cutting"], "cutting-over");
  expect((await status.get("failed")).reason).toContain("DST-019");
  expect((await status.get("deleting")).reason).toContain("PIP-016");
  const gone = await fetch(`http://${api2}/api/v1/pipelines/deleting`, { method: "DELETE" });
  expect(gone.status, await gone.text()).toBe(200);
  expect(await bus.records.keys(recordFilter.ofPipeline("deleting"))).toEqual([]);
  expect(await bus.stream("deleting").size()).toBeNull();

  for (const name of ["away", "failed"]) await destinationOf(name).proxy.clear();
  await accepted("failed", "resume");
  for (const name of ["kept", "paused"]) await accepted(name, "resume");
  for (const name of ["asked", "stopped"]) await accepted(name, "start");
  const running = ["kept", "asked", "blocked", "ready", "steady", "paused", "stopped", "away", "failed", "copying"];
  expect((await load.stop()).errorSamples).toEqual([]);
  await Promise.all([untilAll(running, "synchronizing"), untilAll(["cutting"], "cut-over")]);
  await Promise.all(running.map(expectIdentical));
  const cutOver = await compareDeployments(source, destinationOf("cutting").server, {
    source,
    expiryOf: (expireAtMs) => expireAtMs - (expireAtMs % 2),
  });
  expect(cutOver.differences).toEqual([]);
});

/** Not to be compressed. */
function randomText(seed: number): string {
  let state = seed + 1;
  const next = (): number => (state = (state * 48_271) % 2_147_483_647);
  return Array.from({ length: BULK_BYTES }, () => String.fromCharCode(33 + (next() % 90))).join("");
}
