import { encodeCommand, ReplyError, slotTag, type Connection } from "@sluice/redis";
import { Fault, Retryable } from "@sluice/runtime";
import { keptCount, keptKey, keptName, parseKeptCount, parseKeptName, type SlotSet } from "@sluice/wire";
import { destinationFault, StaleMark } from "../apply/standalone-destination.ts";
import { verdictOf } from "../apply/verdict.ts";
import type { SlotGroup } from "../cluster/apply-script.ts";
import { slotMark, type ClusterMarks, type MarkNames } from "../cluster/cluster-marks.ts";
import { groupCommand } from "../cluster/group-plan.ts";
import type { GroupSender } from "../cluster/group-sender.ts";
import type { NodePool } from "../cluster/node-pool.ts";
import type { SlotKeys, Whereabouts } from "../cluster/slot-keys.ts";
import type { ClusterNode, SlotMap } from "../cluster/slot-map.ts";
import type { Keeping } from "./keeping.ts";

/** Names in one command, and slots that are asked for side by side. */
const NAMES_AT_ONCE = 500;
const SLOTS_AT_ONCE = 256;

/**
 * Which keys of a cluster are kept, of the slots of one lane: beside each slot's mark, written together with the first one, by the
 * same compare-and-set. So of two writers whose claim wins has taken down the names that count, and there is nothing half done.
 */
export class KeptSlots {
  readonly #names: MarkNames;
  readonly #slots: SlotSet;
  readonly #pool: NodePool;
  readonly #keeping: Keeping;
  /** Slots whose names are in the destination. */
  readonly #held = new Set<number>();
  /** Taken down, to be written with the slot's mark. */
  readonly #taken = new Map<number, readonly Buffer[]>();

  constructor(names: MarkNames, slots: SlotSet, pool: NodePool, keeping: Keeping) {
    this.#names = names;
    this.#slots = slots;
    this.#pool = pool;
    this.#keeping = keeping;
  }

  /** Reads the names of those `slots` of the lane that `node` serves. Throws `Retryable` DST-001, DST-003, `Halt` DST-002, DST-022, DST-023. */
  async read(node: ClusterNode, slots: readonly number[]): Promise<void> {
    const connection = await this.#pool.connection(node);
    for (let at = 0; at < slots.length; at += SLOTS_AT_ONCE) {
      const reads = slots.slice(at, at + SLOTS_AT_ONCE).map(async (slot) => this.#readSlot(connection, slot));
      await Promise.allSettled(reads);
      await Promise.all(reads).catch((cause: unknown) => {
        throw this.#faultOf(node, cause);
      });
    }
  }

  /**
   * Throws `Halt` DST-022 where a slot has a mark and no names, and `StaleMark` where the mark is gone by now, too: then the destination was
   * emptied while both were read.
   */
  async requireBeside(marks: ClusterMarks, map: Pick<SlotMap, "ownerOf">): Promise<void> {
    const { group } = this.#names;
    for (const slot of this.#slots) {
      const before = marks.textOf(slot);
      if (before === null || this.#held.has(slot)) continue;
      const after = await this.#markOf(slot, map);
      if (after !== before) throw new StaleMark(group, before, after);
      throw this.#keeping.lost(`slot ${slot} of ${group}`, `its mark is, and ${this.#keyOf(slot)} is not`);
    }
  }

  /** Finds out what stands in the slots that have no names yet. */
  async takeDown(sender: GroupSender, keys: SlotKeys): Promise<void> {
    const open = new Set([...this.#slots].filter((slot) => !this.#held.has(slot)));
    if (open.size === 0) return;
    const noted = await this.#keeping.noted();
    let found = await keys.look(sender.map);
    for (let slots: readonly number[] = [...open]; slots.length > 0;) {
      for (let at = 0; at < slots.length; at += SLOTS_AT_ONCE) {
        await Promise.all(slots.slice(at, at + SLOTS_AT_ONCE).map(async (slot) => this.#take(slot, keys, found, noted)));
        this.#requireFew();
      }
      await sender.refresh();
      const before = found;
      found = await keys.look(sender.map);
      slots = keys.changed(before, found).filter((slot) => open.has(slot));
    }
  }

  /** Puts the names that were taken down into the group that claims the slot. */
  addTo(group: SlotGroup): void {
    const names = this.#taken.get(group.slot);
    if (names === undefined) return;
    const key = this.#keyOf(group.slot);
    const add = (members: readonly (Buffer | string)[]): void =>
      group.add(groupCommand(encodeCommand(["SADD", key, ...members])));
    for (let at = 0; at < names.length; at += NAMES_AT_ONCE)
      add(names.slice(at, at + NAMES_AT_ONCE).map((name) => keptName(0, name)));
    add([keptCount(names.length)]);
    group.addKey(Buffer.from(key));
  }

  /** The slots are claimed: what was taken down counts from here on. Notes it. */
  async claimed(): Promise<void> {
    for (const [slot, names] of this.#taken) {
      for (const name of names) this.#keeping.kept.add(0, name);
      this.#held.add(slot);
    }
    this.#taken.clear();
    await this.#keeping.note(this.#slots);
  }

  async #take(slot: number, keys: SlotKeys, found: Whereabouts, noted: SlotSet): Promise<void> {
    const listed = await keys.of(slot, found, this.#keeping.kept);
    const owner = found.map.ownerOf(slot);
    const there = owner === null ? listed : await this.#present(owner, listed);
    if (there.length > 0 && noted.has(slot))
      throw this.#keeping.lost(
        `slot ${slot} of ${this.#names.group}`,
        `${this.#keyOf(slot)} is gone, and there are ${there.length} keys`,
      );
    // A slot that was looked at twice may hold a key at both ends of its way.
    this.#taken.set(slot, [...new Map(there.map((key) => [key.toString("latin1"), key])).values()]);
  }

  /** A slot's list names keys that have expired and are not deleted yet, too. What can't be asked here is on its way. */
  async #present(owner: ClusterNode, keys: readonly Buffer[]): Promise<Buffer[]> {
    if (keys.length === 0) return [];
    const connection = await this.#pool.connection(owner);
    const found = await Promise.allSettled(keys.map(async (key) => connection.call(["EXISTS", key])));
    return keys.filter((_, index) => {
      const reply = found[index];
      if (reply?.status === "rejected" && !(reply.reason instanceof ReplyError)) throw this.#faultOf(owner, reply.reason);
      return reply?.status !== "fulfilled" || Number(reply.value) !== 0;
    });
  }

  #requireFew(): void {
    const { limits, size } = this.#keeping.kept;
    let [count, bytes] = [size, 0];
    for (const names of this.#taken.values()) {
      count += names.length;
      for (const name of names) bytes += name.length;
    }
    if (count > limits.names || bytes > limits.bytes) throw this.#keeping.kept.tooMany();
  }

  async #readSlot(connection: Connection, slot: number): Promise<void> {
    const key = this.#keyOf(slot);
    const { kept } = this.#keeping;
    const members = Number(await connection.call(["SCARD", key]));
    if (members === 0) return;
    let told: number | null = null;
    let cursor = "0";
    do {
      const reply = await connection.call(["SSCAN", key, cursor, "COUNT", NAMES_AT_ONCE]);
      if (!Array.isArray(reply) || !Array.isArray(reply[1])) throw new Error("SSCAN answered something else than members");
      cursor = String(reply[0]);
      for (const member of reply[1]) {
        if (!Buffer.isBuffer(member)) continue;
        const name = parseKeptName(member);
        if (name !== null) kept.add(name.db, name.key);
        else told = parseKeptCount(member) ?? told;
      }
    } while (cursor !== "0");
    if (told !== members - 1) {
      const { group } = this.#names;
      if (Number(await connection.call(["SCARD", key])) !== members)
        throw new Retryable("DST-008", `destination ${group}`, `${key} in ${group} was changed while it was read`);
      throw this.#keeping.lost(`slot ${slot} of ${this.#names.group}`, `${key} holds ${members - 1} of ${told ?? "unknown"}`);
    }
    this.#held.add(slot);
  }

  async #markOf(slot: number, map: Pick<SlotMap, "ownerOf">): Promise<string | null> {
    const owner = map.ownerOf(slot);
    if (owner === null) return null;
    try {
      const mark = await (await this.#pool.connection(owner)).call(["GET", slotMark(this.#names, slot)]);
      return Buffer.isBuffer(mark) ? mark.toString("latin1") : null;
    } catch (cause) {
      throw this.#faultOf(owner, cause);
    }
  }

  #faultOf(node: ClusterNode, cause: unknown): unknown {
    const { group } = this.#names;
    if (!(cause instanceof ReplyError))
      return cause instanceof Fault ? cause : destinationFault(`${group} (${node.name})`, cause);
    // Of a slot that moves away the names may be there already; they are asked for again where they are then.
    if (verdictOf(cause.message) !== "redirect") return destinationFault(`${group} (${node.name})`, cause);
    const endpoint = `destination ${group}`;
    return new Retryable("DST-003", endpoint, `${endpoint}: the names of kept keys on ${node.name} can't be read`, { cause });
  }

  #keyOf(slot: number): string {
    const { pipeline, group } = this.#names;
    return keptKey(slotTag(slot), pipeline, group);
  }
}
