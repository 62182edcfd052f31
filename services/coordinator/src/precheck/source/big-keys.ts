import { ReplyError, type Connection, type Reply } from "@sluice/redis";
import type { Clock } from "@sluice/runtime";
import { pass, warn, type Look } from "../precheck.ts";
import { bytesText } from "../quantity.ts";
import { eachSourceServer } from "../server-check.ts";

const SAMPLE_KEYS = 200;
/** Keys that are asked for side by side. */
const AT_ONCE = 20;
const SAMPLE_MS = 2_000;
const MEMORY_SINCE = 40_000;
const BIG_BYTES = 32 * 2 ** 20;
/** What an element of a collection is taken to weigh where the server does not tell. */
const ELEMENT_BYTES = 64;

/** A key of the sample; its name is the user's own and told to nobody. */
export interface SampledKey {
  readonly type: string;
  readonly sizeBytes: number;
}

function judgeBigKeys(sample: readonly SampledKey[], keys: number): Look {
  const seen = `a random sample of ${sample.length} of ${keys} keys`;
  const big = sample.filter(({ sizeBytes }) => sizeBytes >= BIG_BYTES).toSorted((a, b) => b.sizeBytes - a.sizeBytes);
  const largest = sample.reduce((most, { sizeBytes }) => Math.max(most, sizeBytes), 0);
  const [first] = big;
  if (first === undefined) return pass(`${seen}: the largest takes ${bytesText(largest)}`);
  return warn(`${seen}: ${big.length} of them are big, the largest a ${first.type} of about ${bytesText(first.sizeBytes)}`);
}

export const sourceBigKeys = eachSourceServer(
  {
    id: "source-big-keys",
    title: "No key of a sample is very big",
    why: "A value travels and is written as one: a very big one holds its lane up, takes its size in memory on the way, and makes the destination pause.",
    expected: `keys below ${bytesText(BIG_BYTES)}, in a sample of ${SAMPLE_KEYS} of each server`,
    fix: "`redis-cli --memkeys` finds them all. Split them, or expect a pause at each; it needs nothing else.",
    warns: `a key of the sample takes ${bytesText(BIG_BYTES)} or more; that none does says little of the others`,
    fails: null,
    code: "SRC-007",
  },
  async (server, { clock }) => {
    const { keyspace, version } = await server.state();
    const keys = [...keyspace.values()].reduce((sum, count) => sum + count, 0);
    if (keys === 0) return pass("no keys");
    const [largest] = [...keyspace].toSorted((a, b) => b[1] - a[1]);
    return judgeBigKeys(await server.alone(async (at) => sampleOf(at, largest?.[0] ?? 0, version, clock)), keys);
  },
);

/** Of the database that holds most. What expires or is deleted meanwhile is left out. */
async function sampleOf(connection: Connection, db: number, version: number, clock: Clock): Promise<SampledKey[]> {
  if (db !== 0) await connection.call(["SELECT", String(db)]);
  const until = clock.monotonicMs() + SAMPLE_MS;
  const sample: SampledKey[] = [];
  for (let asked = 0; asked < SAMPLE_KEYS && clock.monotonicMs() < until; asked += AT_ONCE) {
    const drawn = await Promise.all(Array.from({ length: AT_ONCE }, async () => connection.call(["RANDOMKEY"])));
    const keys = drawn.filter((key): key is Buffer => Buffer.isBuffer(key));
    const sizes = await Promise.all(keys.map(async (key) => sizeOf(connection, key, version)));
    sample.push(...sizes.filter((size) => size !== null));
  }
  return sample;
}

const COUNTED_BY: Readonly<Record<string, string>> = {
  list: "LLEN",
  set: "SCARD",
  zset: "ZCARD",
  hash: "HLEN",
  stream: "XLEN",
};

async function sizeOf(connection: Connection, key: Buffer, version: number): Promise<SampledKey | null> {
  const ask = async (...args: (string | Buffer)[]): Promise<Reply> => connection.call(args);
  try {
    const type = String(await ask("TYPE", key));
    if (type === "none") return null;
    if (version >= MEMORY_SINCE) return { type, sizeBytes: Number(await ask("MEMORY", "USAGE", key)) };
    if (type === "string") return { type, sizeBytes: Number(await ask("STRLEN", key)) };
    const count = COUNTED_BY[type];
    return count === undefined ? null : { type, sizeBytes: Number(await ask(count, key)) * ELEMENT_BYTES };
  } catch (cause) {
    // Gone, or of a slot that has just moved.
    if (cause instanceof ReplyError && cause.code !== "NOPERM") return null;
    throw cause;
  }
}
