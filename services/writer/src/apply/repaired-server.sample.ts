import { RedisServer } from "@sluice/testkit";
import { formatMark, laneMarkKey } from "@sluice/wire";
import { expect } from "vitest";
import type { DivergencePolicy, KeyRepairOptions } from "../repair/key-repair.ts";
import type { SourceLane } from "../repair/source-lane.sample.ts";
import { sampleForms } from "../snapshot/value-forms.sample.ts";
import { StandaloneDestination } from "./standalone-destination.ts";
import { StandaloneLane } from "./standalone-lane.ts";

export const MARK = laneMarkKey("x", "p", "main", "s0", 0);
const signal = new AbortController().signal;
/** Expiries carry a grace of an hour. */
export const shift = (ms: number): number => ms + 3_600_001 - (ms % 2);

export async function open(
  server: RedisServer,
  source: SourceLane<RedisServer>,
  policy: DivergencePolicy,
  options: Partial<KeyRepairOptions> = {},
  port = server.port,
) {
  const endpoint = { host: "127.0.0.1", port };
  const target = await StandaloneDestination.open("main", endpoint, MARK, signal);
  const { repair, told } = source.repair(policy, options);
  const lane = new StandaloneLane(target, {
    label: "main.s0.0",
    markKey: MARK,
    attempts: `${MARK}:tmp`,
    forms: sampleForms(shift),
    endpoint,
    shift,
    owns: () => true,
    isSole: true,
    repair,
    signal,
  });
  return { lane, told };
}

/** A destination that is live where the source stands. */
export async function start(source: SourceLane<RedisServer>): Promise<RedisServer> {
  const server = await RedisServer.start();
  await server.client().set(MARK, formatMark(source.position));
  return server;
}

const contents = async (server: RedisServer): Promise<unknown> => {
  const [zero, three] = [server.client(), server.client(3)];
  const of = async (client: ReturnType<RedisServer["client"]>) => {
    const keys = (await client.keys("*")).filter((key) => !key.startsWith("sluice:")).toSorted();
    return Promise.all(keys.map(async (key) => [key, await client.type(key), await readPlain(client, key)]));
  };
  return [await of(zero), await of(three)];
};

async function readPlain(client: ReturnType<RedisServer["client"]>, key: string): Promise<unknown> {
  switch (await client.type(key)) {
    case "string":
      return client.get(key);
    case "list":
      return client.lrange(key, 0, -1);
    case "hash":
      return client.hgetall(key);
    case "set":
      return (await client.smembers(key)).toSorted();
    default:
      return client.dump(key);
  }
}

/** Databases 0 and 3 hold what they hold at the source, but for keys of ours. */
export async function same(source: SourceLane<RedisServer>, server: RedisServer): Promise<void> {
  expect(await contents(server)).toEqual(await contents(source.server));
}
