import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { silentLog } from "@sluice/runtime";
import { freePort, releasePort, SpawnedProcess, waitUntil } from "@sluice/testkit";
import { RECORDS_BUCKET } from "@sluice/wire";
import { expect, test } from "vitest";
import { Bus } from "./bus.ts";

const log = silentLog();
const SUBJECT = "sluice.p.live.s0.0";

/** Three nats-servers with JetStream that form one cluster. */
class NatsTrio implements AsyncDisposable {
  readonly servers: SpawnedProcess[] = [];
  readonly #dir: string;
  readonly #ports: readonly number[];

  private constructor(dir: string, ports: readonly number[]) {
    this.#dir = dir;
    this.#ports = ports;
  }

  static async start(): Promise<NatsTrio> {
    const ports = await Promise.all(Array.from({ length: 6 }, async () => freePort()));
    const trio = new NatsTrio(await mkdtemp(join(tmpdir(), "sluice-trio-")), ports);
    const routes = ports.slice(3).map((port) => `nats://127.0.0.1:${port}`);
    for (const index of [0, 1, 2]) {
      const own = ["--addr", "127.0.0.1", "--port", String(ports[index]), "--name", `n${index}`];
      const store = ["--jetstream", "--store_dir", join(trio.#dir, String(index))];
      const cluster = ["--cluster_name", "trio", "--cluster", routes[index] as string, "--routes", routes.join(",")];
      const args = [...own, ...store, ...cluster];
      trio.servers.push(await SpawnedProcess.start({ command: "nats-server", args, temporaryDir: trio.#dir }));
    }
    return trio;
  }

  get url(): string {
    const ports = this.#ports.slice(0, 3);
    return ports.map((port) => `nats://127.0.0.1:${port}`).join(",");
  }

  /** Replicas of a stream, and how many of them besides the leader hold all of it. */
  async replicasOf(stream: string): Promise<{ replicas: number; current: number }> {
    const connection = await connect({ servers: this.url.split(",") });
    try {
      const { config, cluster } = await (await jetstreamManager(connection)).streams.info(stream);
      const current = cluster?.replicas?.filter((replica) => replica.current).length ?? 0;
      return { replicas: config.num_replicas, current };
    } finally {
      await connection.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.servers.map(async (server) => server.kill()));
    for (const port of this.#ports) releasePort(port);
    await rm(this.#dir, { recursive: true, force: true });
  }
}

async function connected(trio: NatsTrio, replicas?: number): Promise<Bus> {
  const options = { url: trio.url, name: "test", log, ...(replicas === undefined ? {} : { replicas }) };
  return waitUntil("the cluster has a leader", async () => Bus.connect(options), {
    details: () => trio.servers.map((server) => server.logTail()).join("\n"),
  });
}

test("a stream and the records get the replicas that they lack, lose none, and outlive a server", async () => {
  await using trio = await NatsTrio.start();
  const alone = await connected(trio);
  await alone.stream("p").ensure();
  await alone.stream("p").append(SUBJECT, Buffer.from("a"), 0);
  expect((await trio.replicasOf("SLUICE_p")).replicas).toBe(1);
  await alone.close();

  const bus = await connected(trio, 3);
  const stream = bus.stream("p");
  await stream.ensure();
  for (const name of ["SLUICE_p", `KV_${RECORDS_BUCKET}`]) {
    await waitUntil(`${name} is whole on three servers`, async () => (await trio.replicasOf(name)).current === 2);
    expect((await trio.replicasOf(name)).replicas).toBe(3);
  }
  const fewer = await connected(trio, 1);
  await fewer.stream("p").ensure();
  expect((await trio.replicasOf("SLUICE_p")).replicas).toBe(3);
  await fewer.close();

  await trio.servers[0]?.kill();
  await waitUntil("the tail is read again", async () => (await stream.tail(SUBJECT))?.sequence === 1);
  expect(await stream.append(SUBJECT, Buffer.from("b"), 1)).toEqual({ outcome: "stored", sequence: 2 });
  await bus.close();
});
