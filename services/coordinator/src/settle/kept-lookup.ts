import { Connection, keySlot, slotTag, type Endpoint } from "@sluice/redis";
import { Halt } from "@sluice/runtime";
import {
  keptCount,
  keptKey,
  keptName,
  keptShareKey,
  keptShareOf,
  KEPT_SHARES,
  parseMark,
  slotMarkKey,
  SlotSet,
} from "@sluice/wire";

const AT_ONCE = 512;
/** Nothing heard for so long with an answer due: the connection is dead, or the server is. */
const SILENCE_LIMIT_MS = 30_000;

export interface KeptLookupOptions {
  readonly pipeline: string;
  readonly group: string;
  readonly isCluster: boolean;
  /** Slots that the server serves. */
  readonly slots: string;
  /** The operator knows that names are gone, and has it settled all the same: those that are left count. */
  readonly isWithoutNames: boolean;
  readonly signal: AbortSignal;
}

/**
 * Tells on one server of a destination which keys the pipeline has never touched: those that `existing: keep` keeps, by the names that
 * stand beside the marks, and those of slots that no copy has claimed. Their expiries are true ones.
 */
export class KeptLookup {
  readonly #connection: Connection;
  readonly #options: KeptLookupOptions;
  readonly #unclaimed: ReadonlySet<number>;

  private constructor(connection: Connection, options: KeptLookupOptions, unclaimed: ReadonlySet<number>) {
    this.#connection = connection;
    this.#options = options;
    this.#unclaimed = unclaimed;
  }

  /** Throws `Halt` DST-025 when names are gone, `ReplyError`, `ConnectionLost`. */
  static async open(endpoint: Endpoint, options: KeptLookupOptions): Promise<KeptLookup> {
    const { signal, isCluster } = options;
    const connection = await Connection.open(endpoint, { name: "sluice-settle", idleTimeoutMs: SILENCE_LIMIT_MS, signal });
    try {
      const unclaimed = isCluster ? await unclaimedSlots(connection, options) : await requireNames(connection, options);
      return new KeptLookup(connection, options, unclaimed);
    } catch (cause) {
      connection.close();
      throw cause;
    }
  }

  /** Those of `keys`, in database `db`, that the pipeline may have written. Throws `ReplyError`, `ConnectionLost`. */
  async written(db: number, keys: readonly Buffer[]): Promise<Buffer[]> {
    const { pipeline, group, isCluster } = this.#options;
    const asked = keys.map((key) => ({ key, slot: keySlot(key) })).filter(({ slot }) => !this.#unclaimed.has(slot));
    const answers = await allOf(
      asked.map(async ({ key, slot }) => {
        const names = isCluster
          ? keptKey(slotTag(slot), pipeline, group)
          : keptShareKey(slotTag(0), pipeline, group, keptShareOf(slot));
        return Number(await this.#connection.call(["SISMEMBER", names, keptName(db, key)]));
      }),
    );
    return asked.filter((_, index) => answers[index] === 0).map(({ key }) => key);
  }

  close(): void {
    this.#connection.close();
  }
}

/** All of them are there: as many as the state says. */
async function requireNames(connection: Connection, options: KeptLookupOptions): Promise<ReadonlySet<number>> {
  const { pipeline, group, isWithoutNames } = options;
  if (isWithoutNames) return new Set();
  const key = keptKey(slotTag(0), pipeline, group);
  const state = await connection.call(["GET", key]);
  const position = Buffer.isBuffer(state) ? parseMark(state.toString("latin1")) : null;
  if (position?.phase !== "live") throw lost(group, `does not hold ${key}`);
  const shares = Array.from({ length: KEPT_SHARES }, (_, share) => keptShareKey(slotTag(0), pipeline, group, share));
  const counts = await allOf(shares.map(async (share) => connection.call(["SCARD", share])));
  const found = counts.reduce((sum: number, count) => sum + Number(count), 0);
  if (found !== position.offset) throw lost(group, `holds ${found} of ${position.offset} names in ${key}.*`);
  return new Set();
}

/** Slots that have neither names nor a mark; every other one has all its names. */
async function unclaimedSlots(connection: Connection, options: KeptLookupOptions): Promise<ReadonlySet<number>> {
  const { pipeline, group, slots, isWithoutNames } = options;
  const all = [...SlotSet.parse(slots)];
  const unclaimed = new Set<number>();
  for (let at = 0; at < all.length; at += AT_ONCE) {
    await allOf(
      all.slice(at, at + AT_ONCE).map(async (slot) => {
        const key = keptKey(slotTag(slot), pipeline, group);
        const [members, hasMark] = await allOf([
          connection.call(["SCARD", key]),
          connection.call(["EXISTS", slotMarkKey(slotTag(slot), pipeline, group)]),
        ]);
        const found = Number(members);
        if (found === 0 && Number(hasMark) === 0) unclaimed.add(slot);
        if (unclaimed.has(slot) || isWithoutNames) return;
        if (found === 0) throw lost(group, `does not hold ${key}`);
        const isWhole = Number(await connection.call(["SISMEMBER", key, keptCount(found - 1)])) === 1;
        if (!isWhole) throw lost(group, `does not hold all names in ${key}: they are not as many as it says`);
      }),
    );
  }
  return unclaimed;
}

function lost(group: string, what: string): Halt {
  return new Halt("DST-025", `destination ${group} ${what}: which expiries are its own can't be told`);
}

/** As `Promise.all`, but nothing is under way any more when it rejects. */
async function allOf<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}
