import type { Redis } from "ioredis";
import type { ClusterEndpoint } from "../servers/redis-cluster.ts";
import { keyName, type KeyKind } from "./key-name.ts";
import { isClusterEndpoint, openOutlets } from "./open-outlets.ts";
import type { Outlet, Unit } from "./outlet.ts";
import { hugeCommands, preloadCommands } from "./preload-values.ts";
import { Random, WeightedChoice } from "./random.ts";
import { placedKey, placedSlot } from "./slot-places.ts";

const COMMANDS_PER_PIPELINE = 500;
const MAX_PIPELINES = 4;
/** One key of some kinds is huge where there are enough keys; it lies beyond those that a `Workload` usually writes to. */
const HUGE_FROM_KEYS = 20_000;
const HUGE_INDEX = 1100;
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
  /** Names with hash tags, as a `Workload` with `singleSlot` uses them; default true for a cluster, else false. */
  readonly singleSlot?: boolean;
}

export interface PreloadReport {
  readonly keys: number;
  readonly commands: number;
  readonly seconds: number;
}

/**
 * Creates exactly `keys` keys of every type and encoding, 8 % of them with an expiry in 2060 and 4 % with one in two to ten
 * minutes; from 20 000 keys a database on, it has a list of 12 000 elements, a hash of 6000 fields, and a set and a sorted set
 * of 3000 members among them. The databases must not hold keys of these names. A `Workload` writes to the same keys.
 *
 * @param target a cluster, or any connection to a server
 * @throws Error with the reply when a command fails
 */
export async function preload(target: Redis | ClusterEndpoint, options: PreloadOptions): Promise<PreloadReport> {
  const startMs = performance.now();
  const { keys, databases = [0], seed, singleSlot = isClusterEndpoint(target) } = options;
  const random = new Random(seed);
  const kinds = new WeightedChoice(SHARES);
  const counts = new Map<string, number>();
  const outlets = await openOutlets(target, databases);
  const window = new SendWindow();
  let commands = 0;
  try {
    const waiting: Unit[][] = databases.map(() => []);
    const queued = databases.map(() => 0);
    for (let made = 0; made < keys; made++) {
      const place = made % databases.length;
      const kind = kinds.draw(random);
      const index = counts.get(`${place}:${kind}`) ?? 0;
      counts.set(`${place}:${kind}`, index + 1);
      const key = singleSlot ? placedKey(kind, index) : keyName(kind, index);
      const isHuge = index === HUGE_INDEX && keys / databases.length >= HUGE_FROM_KEYS;
      const unit = [...(isHuge ? hugeCommands(kind, random, key) : preloadCommands[kind](random, key))];
      if (random.chance(0.08)) unit.push(["PEXPIREAT", key, FAR_EXPIRY_MS + made]);
      else if (random.chance(0.043)) unit.push(["PEXPIRE", key, random.between(120_000, 600_000)]);
      commands += unit.length;
      waiting[place]?.push({ commands: unit, slot: singleSlot ? placedSlot(index) : undefined });
      if ((queued[place] = (queued[place] ?? 0) + unit.length) < COMMANDS_PER_PIPELINE) continue;
      queued[place] = 0;
      await window.send(outlets[place], waiting[place] ?? []);
    }
    for (const [place, queue] of waiting.entries()) await window.send(outlets[place], queue);
    await window.end();
  } finally {
    for (const outlet of outlets) outlet.close();
  }
  return { keys, commands, seconds: (performance.now() - startMs) / 1000 };
}

/** A few pipelines under way at a time, so that one is made while others are executed. */
class SendWindow {
  readonly #sending = new Set<Promise<void>>();
  #failure: string | undefined;

  /** Empties the queue. @throws Error for a command that has failed so far, of any queue */
  async send(outlet: Outlet | undefined, queue: Unit[]): Promise<void> {
    const sent = outlet?.send(queue.splice(0), ({ commands }, replies) => {
      const place = replies.findIndex((reply) => reply instanceof Error);
      if (place >= 0) this.#failure ??= `${commands[place]?.[0]} ${String(commands[place]?.[1])}: ${String(replies[place])}`;
    });
    if (sent === undefined) return;
    const sending = sent.finally(() => this.#sending.delete(sending));
    this.#sending.add(sending);
    if (this.#sending.size >= MAX_PIPELINES) await Promise.race(this.#sending);
    this.#check();
  }

  async end(): Promise<void> {
    await Promise.all(this.#sending);
    this.#check();
  }

  #check(): void {
    if (this.#failure !== undefined) throw new Error(`preload: ${this.#failure}`);
  }
}
