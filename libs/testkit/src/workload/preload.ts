import type { Redis } from "ioredis";
import { openDatabases, runPipeline } from "./pipeline.ts";
import type { Command } from "./command.ts";
import { keyName, KEY_TAGS, type KeyKind } from "./key-name.ts";
import { preloadCommands } from "./preload-values.ts";
import { Random, WeightedChoice } from "./random.ts";

const COMMANDS_PER_PIPELINE = 500;
const FAR_EXPIRY_MS = 2_840_140_800_000; // the year 2060
const SHARES: Readonly<Record<KeyKind, number>> = {
  string: 30,
  number: 10,
  float: 3,
  bitmap: 3,
  hash: 15,
  list: 12,
  set: 10,
  zset: 8,
  geo: 2,
  stream: 5,
  hll: 2,
};

export interface PreloadOptions {
  /** How many keys, over all databases. */
  readonly keys: number;
  /** Default: database 0 only. */
  readonly databases?: readonly number[];
  readonly seed: number;
  /** Names with hash tags, as a `Workload` with `singleSlot` uses them. */
  readonly singleSlot?: boolean;
}

export interface PreloadReport {
  readonly keys: number;
  readonly commands: number;
  readonly seconds: number;
}

/**
 * Creates exactly `keys` keys of every type and encoding, 8 % of them with an expiry in 2060 and 4 % with one in two to ten
 * minutes. The databases must not hold keys of these names. A `Workload` writes to the same keys.
 *
 * @throws Error with the reply when a command fails
 */
export async function preload(client: Redis, options: PreloadOptions): Promise<PreloadReport> {
  const startMs = performance.now();
  const { keys, databases = [0], seed, singleSlot = false } = options;
  const random = new Random(seed);
  const kinds = new WeightedChoice(SHARES);
  const counts = new Map<string, number>();
  const links = await openDatabases(client, databases);
  let commands = 0;
  try {
    const waiting: Command[][] = databases.map(() => []);
    for (let made = 0; made < keys; made++) {
      const place = made % databases.length;
      const kind = kinds.draw(random);
      const index = counts.get(`${place}:${kind}`) ?? 0;
      counts.set(`${place}:${kind}`, index + 1);
      const key = keyName(kind, index, singleSlot ? index % KEY_TAGS : undefined);
      const queue = waiting[place] ?? [];
      const before = queue.length;
      queue.push(...preloadCommands[kind](random, key));
      if (random.chance(0.08)) queue.push(["PEXPIREAT", key, FAR_EXPIRY_MS + made]);
      else if (random.chance(0.043)) queue.push(["PEXPIRE", key, random.between(120_000, 600_000)]);
      commands += queue.length - before;
      if (queue.length >= COMMANDS_PER_PIPELINE) await flush(links[place], queue);
    }
    for (const [place, queue] of waiting.entries()) await flush(links[place], queue);
  } finally {
    for (const link of links) link.disconnect();
  }
  return { keys, commands, seconds: (performance.now() - startMs) / 1000 };
}

async function flush(link: Redis | undefined, queue: Command[]): Promise<void> {
  if (link === undefined || queue.length === 0) return;
  const commands = queue.splice(0);
  for (const [index, reply] of (await runPipeline(link, commands)).entries()) {
    if (reply instanceof Error)
      throw new Error(`preload: ${commands[index]?.[0]} ${String(commands[index]?.[1])}: ${reply.message}`);
  }
}
