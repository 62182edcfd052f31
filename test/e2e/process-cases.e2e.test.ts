import { Bus } from "@sluice/bus";
import { silentLog } from "@sluice/runtime";
import { NatsServer, RedisCluster, TcpProxy, waitUntil } from "@sluice/testkit";
import { decodeBatch, liveSubject, type PipelineStatus } from "@sluice/wire";
import { expect, test } from "vitest";
import { Services } from "./deployment.ts";
import { expectIdentical } from "./equality.ts";
import { EVEN_LAYOUT, Pair } from "./pair.ts";

const PIPELINE = "orders";
const RATE = 1_000;
const KEYS = 1_500;
/** Counters and numbered lists are what a command that is applied twice, or not at all, shows in. */
const WEIGHTS = { counters: 60, ledgers: 40 };

const isSynchronizing = ({ state }: PipelineStatus): boolean => state === "synchronizing";

function other(name: string, ...names: readonly string[]): string {
  return names.find((one) => one !== name) ?? "";
}

const destinations = [
  ["one server", { kind: "standalone" }],
  ["a cluster", { kind: "cluster", cluster: { layout: EVEN_LAYOUT, isProxied: true } }],
] as const;

// Mutations, one for each destination:
// - services/writer/src/apply/watched-transaction.ts, `apply`: SET of the mark not in the transaction but by itself when EXEC was answered.
// - services/writer/src/cluster/cluster-marks.ts, `follow`: what a slot's mark says is not taken for applied.
test.each(destinations)(
  "case 1: a writer is killed after %s has applied what it sent, and before it hears so: nothing is applied twice",
  async (_, destination) => {
    await using nats = await NatsServer.start();
    await using pair = await Pair.start({ kind: "standalone" }, destination);
    await using front = await Front.of(pair);
    await pair.preload(KEYS, 101);
    const load = await pair.load(102, RATE, WEIGHTS);
    await using services = await Services.start(nats.url, { ingests: 1, writers: 2 });
    const { status } = services;
    await status.create(front.pipeline);
    const before = await status.until(PIPELINE, "synchronizing", isSynchronizing);
    const writer = before.lanes[0]?.instance ?? "";
    const successor = other(writer, "writer-1", "writer-2");

    for (const proxy of front.proxies) proxy.holdReplies();
    // A lane has one request under way at most. Within a second of load there is one, and it is applied.
    const commands = load.report().commands;
    await waitUntil("the destination applies what nobody hears of", () => {
      const held = front.proxies.reduce((sum, proxy) => sum + proxy.heldReplyBytes, 0);
      return held > 0 && load.report().commands > commands + RATE;
    });
    await services.of(writer).kill();
    for (const proxy of front.proxies) proxy.releaseReplies();

    const offset = before.lanes[0]?.appliedOffset ?? 0;
    await status.until(
      PIPELINE,
      `${successor} goes on`,
      ({ lanes }) => lanes.every(({ instance }) => instance === successor) && (lanes[0]?.appliedOffset ?? 0) > offset,
    );
    await expectIdentical(PIPELINE, pair, status, load);
    expect((await status.get(PIPELINE)).shards[0]?.epoch, "no second full copy").toBe(before.shards[0]?.epoch);
  },
);

// Mutation: services/writer/src/apply/watched-transaction.ts: no WATCH behind a transaction (`#rearm` begins with GET): what the
// sleeper sent is applied a second time, and its mark takes the lane back.
test("case 4: a writer sleeps longer than its lease with a transaction on its way; that arrives late, and changes nothing", async () => {
  await using nats = await NatsServer.start();
  await using pair = await Pair.start();
  await using front = await Front.of(pair);
  const [proxy] = front.proxies;
  await pair.preload(KEYS, 111);
  const load = await pair.load(112, RATE, WEIGHTS);
  await using services = await Services.start(nats.url, { ingests: 1, writers: 2 });
  const { status } = services;
  await status.create(front.pipeline);
  const before = await status.until(PIPELINE, "synchronizing", isSynchronizing);
  const sleeper = before.lanes[0]?.instance ?? "";
  const successor = other(sleeper, "writer-1", "writer-2");

  const stranded = proxy?.strand();
  await waitUntil("a transaction is on its way", () => (proxy?.heldRequestBytes ?? 0) > 100);
  services.of(sleeper).suspend();
  const offset = (await status.get(PIPELINE)).lanes[0]?.appliedOffset ?? 0;
  const goesOn = async (): Promise<PipelineStatus> => {
    const from = (await status.get(PIPELINE)).lanes[0]?.appliedOffset ?? 0;
    return status.until(
      PIPELINE,
      `${successor} goes on`,
      ({ lanes }) => lanes[0]?.instance === successor && lanes[0].appliedOffset > Math.max(offset, from) + 20_000,
    );
  };
  await goesOn();
  stranded?.release();
  services.of(sleeper).signal("SIGCONT");
  await goesOn();
  expect(services.of(sleeper).exit, "the sleeper lives").toBeUndefined();
  await expectIdentical(PIPELINE, pair, status, load);
  expect((await status.get(PIPELINE)).shards[0]?.epoch, "no second full copy").toBe(before.shards[0]?.epoch);
});

/** Up to where the lane's changes are stored. */
async function storedEnd({ url }: NatsServer): Promise<number> {
  const bus = await Bus.connect({ url, name: "test", log: silentLog() });
  const tail = await bus.stream(PIPELINE).tail(liveSubject(PIPELINE, "s0", 0));
  await bus.close();
  if (tail === null) throw new Error("the lane has no changes");
  return decodeBatch(tail.payload).last;
}

// Mutations:
// - services/ingest/src/lanes/change-batcher.ts, constructor: `#last = last + 300`: what an ingest was about to send when it died is
//   taken to be stored.
// - Together, since one makes good for the other: services/ingest/src/lanes/lane-tails.ts: a lane ends where its tail begins;
//   services/writer/src/progress/lane-chain.ts and live-phase.ts: no batch and no row of one is skipped. What had no answer is applied twice.
test("case 6: an ingest is killed after its batch was stored, and another before: nothing is missing, nothing twice", async () => {
  await using nats = await NatsServer.start();
  await using bus = await TcpProxy.start({ to: { host: "127.0.0.1", port: nats.port } });
  await using pair = await Pair.start();
  await pair.setOnSource("repl-backlog-size", "32mb");
  await pair.preload(KEYS, 121);
  const load = await pair.load(122, RATE, WEIGHTS);
  await using services = await Services.start(nats.url, { ingests: 0, writers: 1 });
  const { status } = services;
  const proxied = `nats://127.0.0.1:${bus.port}`;
  await services.add("ingest", "ingest-1", [], proxied);
  await status.create(pair.pipeline(PIPELINE));
  const first = await status.until(PIPELINE, "synchronizing", isSynchronizing);
  const applied = async (): Promise<number> => (await status.get(PIPELINE)).lanes[0]?.appliedOffset ?? 0;
  const goesOn = async (ingest: string): Promise<PipelineStatus> => {
    const from = await applied();
    return status.until(
      PIPELINE,
      `${ingest} goes on`,
      ({ shards, lanes }) => shards[0]?.instance === ingest && (lanes[0]?.appliedOffset ?? 0) > from + 20_000,
    );
  };

  bus.holdReplies();
  // A lane has one batch under way at most. Within a second of load there is one, it is stored, and nothing behind it is sent.
  const commands = load.report().commands;
  await waitUntil("a batch is stored that its ingest has no answer to", () => {
    return bus.heldReplyBytes > 0 && load.report().commands > commands + RATE;
  });
  const stored = await storedEnd(nats);
  await waitUntil("it is applied", async () => (await applied()) >= stored);
  await services.of("ingest-1").kill();
  bus.releaseReplies();
  await services.add("ingest", "ingest-2", [], proxied);
  await goesOn("ingest-2");

  const stranded = bus.strand();
  await waitUntil("a batch is on its way", () => bus.heldRequestBytes > 500);
  await services.of("ingest-2").kill();
  await services.add("ingest", "ingest-3", [], proxied);
  await goesOn("ingest-3");
  stranded.release();
  await goesOn("ingest-3");

  await expectIdentical(PIPELINE, pair, status, load);
  expect((await status.get(PIPELINE)).shards[0]?.epoch, "no second full copy").toBe(first.shards[0]?.epoch);
});

// Mutation: services/ingest/src/publish/lane-publisher.ts, `publishOne`: a batch without an answer is taken to be stored: the lane lacks
// it and asks for another copy.
test("case 59: the bus is restarted again and again under load: nothing is missing, nothing twice, no second copy", async () => {
  await using nats = await NatsServer.start();
  await using pair = await Pair.start();
  await pair.setOnSource("repl-backlog-size", "32mb");
  await pair.preload(KEYS, 131);
  const load = await pair.load(132, RATE, WEIGHTS);
  await using services = await Services.start(nats.url, { ingests: 1, writers: 1 });
  const { status } = services;
  await status.create(pair.pipeline(PIPELINE));
  const first = await status.until(PIPELINE, "synchronizing", isSynchronizing);
  for (let restart = 0; restart < 8; restart++) {
    const commands = load.report().commands;
    await nats.restart(restart % 2 === 0 ? "SIGKILL" : "SIGTERM");
    await waitUntil("the load goes on for most of a second", () => load.report().commands > commands + 0.7 * RATE);
  }
  await expectIdentical(PIPELINE, pair, status, load);
  expect((await status.get(PIPELINE)).shards[0]?.epoch, "no second full copy").toBe(first.shards[0]?.epoch);
});

/** Proxies before all servers of a destination, and the pipeline that leads through them. */
class Front implements AsyncDisposable {
  readonly proxies: readonly TcpProxy[];
  readonly pipeline: object;
  readonly #own: readonly TcpProxy[];

  private constructor(pair: Pair, url: string, proxies: readonly TcpProxy[], own: readonly TcpProxy[]) {
    this.pipeline = pair.pipeline(PIPELINE, { url });
    this.proxies = proxies;
    this.#own = own;
  }

  static async of(pair: Pair): Promise<Front> {
    const { destination } = pair;
    if (destination instanceof RedisCluster) {
      const proxies = destination.nodes.map((node) => destination.proxyOf(node));
      return new Front(pair, destination.announcedUrl, proxies, []);
    }
    const proxy = await TcpProxy.start({ to: { host: "127.0.0.1", port: destination.port } });
    return new Front(pair, `redis://127.0.0.1:${proxy.port}`, [proxy], [proxy]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#own.map((proxy) => proxy[Symbol.asyncDispose]()));
  }
}
