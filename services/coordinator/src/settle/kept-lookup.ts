import { Connection, keySlot, slotTag, type Endpoint } from "@sluice/redis";
import { Halt } from "@sluice/runtime";
import { keptKey, keptName, keptShareKey, keptShareOf, parseMark, slotMarkKey, SlotSet } from "@sluice/wire";

const AT_ONCE = 512;
/** Nothing heard for so long with an answer due: the connection is dead, or the server is. */
const SILENCE_LIMIT_MS = 30_000;

export interface KeptLookupOptions {
  readonly pipeline: string;
  readonly group: string;
  readonly isCluster: boolean;
  /** Slots that the server serves. */
  readonly slots: string;
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

  /** Throws `Halt` DST-022 when the names are gone, `ReplyError`, `ConnectionLost`. */
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

async function requireNames(connection: Connection, { pipeline, group }: KeptLookupOptions): Promise<ReadonlySet<number>> {
  const key = keptKey(slotTag(0), pipeline, group);
  const state = await connection.call(["GET", key]);
  if (Buffer.isBuffer(state) && parseMark(state.toString("latin1")).phase === "live") return new Set();
  throw lost(group, key);
}

async function unclaimedSlots(connection: Connection, options: KeptLookupOptions): Promise<ReadonlySet<number>> {
  const { pipeline, group, slots } = options;
  const all = [...SlotSet.parse(slots)];
  const unclaimed = new Set<number>();
  for (let at = 0; at < all.length; at += AT_ONCE) {
    await allOf(
      all.slice(at, at + AT_ONCE).map(async (slot) => {
        const key = keptKey(slotTag(slot), pipeline, group);
        const [hasNames, hasMark] = await allOf([
          connection.call(["EXISTS", key]),
          connection.call(["EXISTS", slotMarkKey(slotTag(slot), pipeline, group)]),
        ]);
        if (Number(hasNames) > 0) return;
        if (Number(hasMark) > 0) throw lost(group, key);
        unclaimed.add(slot);
      }),
    );
  }
  return unclaimed;
}

function lost(group: string, key: string): Halt {
  return new Halt("DST-022", `destination ${group} does not hold ${key}: which expiries are its own can't be told`);
}

/** As `Promise.all`, but nothing is under way any more when it rejects. */
async function allOf<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}
