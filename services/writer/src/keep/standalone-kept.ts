import { Connection, keySlot, slotTag, type Endpoint } from "@sluice/redis";
import { Stopped } from "@sluice/runtime";
import {
  formatMark,
  keptKey,
  keptName,
  KEPT_SHARES,
  keptShareKey,
  keptShareOf,
  laneOf,
  parseKeptName,
  SlotSet,
  type Position,
} from "@sluice/wire";
import type { StandingKey } from "../apply/plan-changes.ts";
import { Request } from "../apply/request.ts";
import { destinationFault, StandaloneDestination, UNLINK_SINCE } from "../apply/standalone-destination.ts";
import { staleKeys } from "../snapshot/sweep.ts";
import type { Keeping } from "./keeping.ts";

const SCAN_COUNT = 1_000;
const NOTHING_HELD = { has: () => false };

export interface StandaloneKeptOptions {
  readonly name: string;
  readonly endpoint: Endpoint;
  readonly pipeline: string;
  readonly group: string;
  /** Into how many lanes the slot space is cut, and the slots of this one. */
  readonly lanes: number;
  readonly slots: SlotSet;
  readonly keeping: Keeping;
  /** Works while no other lane of the group does the same. Does not work when the lane ends first. */
  readonly alone: (work: (signal: AbortSignal) => Promise<void>) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Which keys of one server are kept, of one writer group: taken down once for all of its lanes, since slots may go from a source
 * shard, and its lanes, to another.
 *
 *     begin    state: none or snap n → snap n + 1, the shares deleted
 *     names    shares grow, state: snap n + 1 → the same
 *     done     state: snap n + 1 → live, with the number of names
 *
 * Each is a watched transaction on the state's key, so that a writer that was left behind by another attempt changes nothing. No lane
 * claims its mark before the last one: whatever stands beside an unfinished attempt is somebody else's.
 */
export class StandaloneKept {
  readonly #options: StandaloneKeptOptions;
  readonly #stateKey: string;
  #standing: StandingKey | null = null;

  constructor(options: StandaloneKeptOptions) {
    this.#options = options;
    this.#stateKey = keptKey(slotTag(0), options.pipeline, options.group);
  }

  /** The state's key, which has to stay there, names or none; null before the names are taken down. */
  get standing(): StandingKey | null {
    return this.#standing;
  }

  /**
   * Reads the lane's names, if all are taken down. `mark`: the lane's, where it has one. Throws `Halt` DST-022 when they are not and the mark
   * still stands; `StaleMark` when the destination was emptied meanwhile; DST-023.
   */
  async read(mark: Pick<StandaloneDestination, "confirm"> | null): Promise<void> {
    const { name, endpoint, keeping, group, signal } = this.#options;
    const state = await StandaloneDestination.open(name, endpoint, this.#stateKey, signal);
    try {
      if (state.position?.phase === "live") return await this.#load(state, state.position);
      if (mark === null) return;
      await mark.confirm();
      throw keeping.lost(group, `the lane's mark is, and ${this.#stateKey} is not`);
    } finally {
      state.close();
    }
  }

  /** Makes sure that the names are taken down, and known, before the lane claims its mark. */
  async takeDown(): Promise<void> {
    const { keeping, alone, group } = this.#options;
    if (this.#standing === null) await alone(async (signal) => this.#attempt(signal));
    if (this.#standing === null)
      throw new Stopped("SLU-003", `stopped before the names of the keys to keep in ${group} were taken down`);
    await keeping.note(SlotSet.all());
  }

  async #attempt(signal: AbortSignal): Promise<void> {
    const { name, endpoint, keeping, group } = this.#options;
    const state = await StandaloneDestination.open(name, endpoint, this.#stateKey, signal);
    try {
      const { position } = state;
      if (position?.phase === "live") return await this.#load(state, position);
      // An unfinished attempt tells that no lane has claimed anything since.
      if (position === null && (await keeping.noted()).size > 0) {
        for await (const { db } of this.#foreignKeys(signal))
          throw keeping.lost(group, `${this.#stateKey} is gone, and there are keys in database ${db}`);
      }
      await this.#load(state, await this.#write(state, position, signal));
    } finally {
      state.close();
    }
  }

  /** Returns the state that says how many there are. */
  async #write(state: StandaloneDestination, found: Position | null, signal: AbortSignal): Promise<Position> {
    const { lanes, keeping } = this.#options;
    const taking: Position = { ...NO_POSITION, sequence: (found?.sequence ?? 0) + 1 };
    await state.apply(found, this.#deletion(state), taking);
    const most = keeping.kept.limits;
    const held = Array.from({ length: lanes }, () => ({ names: 0, bytes: 0 }));
    for await (const { db, keys } of this.#foreignKeys(signal)) {
      const shares = new Map<number, Buffer[]>();
      for (const key of keys) {
        const slot = keySlot(key);
        const lane = held[laneOf(slot, lanes)] as { names: number; bytes: number };
        lane.names++;
        lane.bytes += key.length;
        // What SCAN returned twice was counted twice: the lane itself counts once more.
        if (lane.names > 2 * most.names || lane.bytes > 2 * most.bytes) {
          await state.apply(taking, this.#deletion(state), taking);
          throw keeping.kept.tooMany();
        }
        const share = keptShareOf(slot);
        shares.set(share, [...(shares.get(share) ?? []), keptName(db, key)]);
      }
      const request = new Request();
      for (const [share, names] of shares) request.addCommand(["SADD", this.#shareKey(share), ...names]);
      await state.apply(taking, request, taking);
    }
    const done: Position = { ...taking, phase: "live", offset: await this.#count(state) };
    await state.apply(taking, new Request(), done);
    return done;
  }

  #foreignKeys(signal: AbortSignal): ReturnType<typeof staleKeys> {
    const { name, endpoint } = this.#options;
    return staleKeys(name, endpoint, NOTHING_HELD, () => true, signal);
  }

  async #load(state: StandaloneDestination, position: Position): Promise<void> {
    const { slots, keeping, group } = this.#options;
    const found = await this.#count(state);
    const expected = position.offset;
    if (found !== expected) {
      await state.confirm();
      throw keeping.lost(group, `${found} of ${expected} are left in the keys ${this.#stateKey}.*`);
    }
    const shares = new Set([...slots].map((slot) => keptShareOf(slot)));
    for await (const name of this.#members([...shares].map((share) => this.#shareKey(share)))) {
      const kept = parseKeptName(name);
      if (kept === null) throw keeping.lost(group, `the keys ${this.#stateKey}.* hold something else than names`);
      if (slots.has(keySlot(kept.key))) keeping.kept.add(kept.db, kept.key);
    }
    this.#standing = { key: this.#stateKey, text: formatMark(position) };
  }

  async #count(state: StandaloneDestination): Promise<number> {
    return state.aside(async (connection) => {
      const keys = Array.from({ length: KEPT_SHARES }, (_, share) => this.#shareKey(share));
      const counts = await Promise.all(keys.map(async (key) => connection.call(["SCARD", key])));
      return counts.reduce((sum: number, count) => sum + Number(count), 0);
    });
  }

  /** The members of sets that do not change. */
  async *#members(keys: readonly string[]): AsyncGenerator<Buffer> {
    const { name, endpoint, signal } = this.#options;
    let connection: Connection | null = null;
    try {
      connection = await Connection.open(endpoint, { name: "sluice-kept", signal });
      for (const key of keys) {
        let cursor = "0";
        do {
          const reply = await connection.call(["SSCAN", key, cursor, "COUNT", SCAN_COUNT]);
          if (!Array.isArray(reply) || !Array.isArray(reply[1])) throw new Error("SSCAN answered something else than members");
          cursor = String(reply[0]);
          yield* reply[1].filter((member) => Buffer.isBuffer(member));
        } while (cursor !== "0");
      }
    } catch (cause) {
      throw destinationFault(name, cause);
    } finally {
      connection?.close();
    }
  }

  #deletion({ version }: StandaloneDestination): Request {
    const request = new Request();
    const remove = version >= UNLINK_SINCE ? "UNLINK" : "DEL";
    for (let share = 0; share < KEPT_SHARES; share++) request.addCommand([remove, this.#shareKey(share)]);
    return request;
  }

  #shareKey(share: number): string {
    const { pipeline, group } = this.#options;
    return keptShareKey(slotTag(0), pipeline, group, share);
  }
}

/** Before all epochs. */
const NO_POSITION: Position = { epoch: 0, copy: 0, phase: "snap", shard: "s0", offset: 0, sequence: 0 };
