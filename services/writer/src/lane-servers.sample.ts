import { Bus } from "@sluice/bus";
import { silentLog } from "@sluice/runtime";
import { NatsServer, RedisServer } from "@sluice/testkit";
import { afterAll, beforeAll } from "vitest";

/** A bus and a destination of one server, for all tests of a file; there once its tests run. */
export class LaneServers {
  #started: { readonly nats: NatsServer; readonly redis: RedisServer; readonly bus: Bus } | null = null;

  static forThisFile(): LaneServers {
    const servers = new LaneServers();
    beforeAll(async () => {
      const [nats, redis] = await Promise.all([NatsServer.start(), RedisServer.start()]);
      servers.#started = { nats, redis, bus: await Bus.connect({ url: nats.url, name: "test", log: silentLog() }) };
    });
    afterAll(async () => {
      const { nats, redis, bus } = servers.#all;
      await bus.close();
      await Promise.all([nats, redis].map(async (server) => server[Symbol.asyncDispose]()));
    });
    return servers;
  }

  get #all() {
    if (this.#started === null) throw new Error("the servers are there in tests only");
    return this.#started;
  }

  get nats(): NatsServer {
    return this.#all.nats;
  }

  get redis(): RedisServer {
    return this.#all.redis;
  }

  get bus(): Bus {
    return this.#all.bus;
  }

  /** Strings in the destination but Sluice's own, as `key=value`. */
  async held(): Promise<string[]> {
    const client = this.redis.client();
    const keys = (await client.keys("*")).filter((key) => !key.startsWith("sluice:")).toSorted();
    return Promise.all(keys.map(async (key) => `${key}=${await client.get(key)}`));
  }
}
