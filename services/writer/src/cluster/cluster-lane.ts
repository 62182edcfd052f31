import { encodeCommand, type Endpoint } from "@sluice/redis";
import { Retryable, type Clock } from "@sluice/runtime";
import { formatMark, type Position, type SlotSet } from "@sluice/wire";
import { readVersion, StaleMark } from "../apply/standalone-destination.ts";
import type { ChangeGroup, LaneDestination, SnapshotValue } from "../lane-destination.ts";
import type { KeySet } from "../snapshot/key-set.ts";
import { isOwn } from "../apply/own-key.ts";
import { isLoose, valueCommands, type ValueCommand } from "../snapshot/value-commands.ts";
import { APPLY_SCRIPT, MOST_SCRIPT_ARGUMENTS, SlotGroup } from "./apply-script.ts";
import { ClusterMarks, slotMark, watermark, type MarkNames } from "./cluster-marks.ts";
import { groupCommand, SlotPlanner, type SlotUnit } from "./group-plan.ts";
import { GroupSender, StaleGroup } from "./group-sender.ts";
import { NodePool } from "./node-pool.ts";
import type { ClusterNode } from "./slot-map.ts";

/** One script call takes so much at most: it holds its node up meanwhile. */
const GROUP_BYTES = 512 * 1024;
const WATERMARK_MS = 5_000;
/** An idle lane's watermarks follow sooner, so that a drained lane says so. */
const IDLE_WATERMARK_MS = 500;
const SWEEP_KEYS = 500;

export interface ClusterLaneOptions extends MarkNames {
  readonly label: string;
  /** Credentials and TLS of every node. */
  readonly endpoint: Endpoint;
  readonly seeds: readonly ClusterNode[];
  /** The lane's slots. */
  readonly slots: SlotSet;
  readonly shift: (expireAtMs: number) => number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * A lane in a cluster: one mark for each slot, moved by the apply script together with the slot's data.
 *
 * What is ready is taken apart by slot, one group for each slot goes to the node that serves it, all at once, and the lane goes
 * on when all are applied. A slot whose mark is at or beyond a unit's offset has it already, so after a crash the lane starts at
 * its lowest watermark and the marks skip what need not be done again.
 */
export class ClusterLane implements LaneDestination {
  readonly name: string;
  readonly #options: ClusterLaneOptions;
  readonly #pool: NodePool;
  readonly #sender: GroupSender;
  readonly #marks: ClusterMarks;
  readonly #planner: SlotPlanner;
  readonly #version: number;
  #position: Position | null;
  #safeSequence = 0;
  #markedAtMs: number;

  private constructor(options: ClusterLaneOptions, pool: NodePool, sender: GroupSender, marks: ClusterMarks, version: number) {
    this.name = options.group;
    this.#options = options;
    this.#pool = pool;
    this.#sender = sender;
    this.#marks = marks;
    this.#version = version;
    this.#planner = new SlotPlanner(options.shift, options.label);
    this.#position = marks.position(options.shard, options.group);
    if (this.#position !== null) marks.follow(this.#position.epoch);
    if (this.#position?.phase === "live") this.#safeSequence = this.#position.sequence;
    this.#markedAtMs = options.clock.monotonicMs();
  }

  /** Reads the slot map and all marks of the lane, and loads the script. Throws `Retryable` DST-001, DST-003, `Halt` DST-002, DST-005. */
  static async open(options: ClusterLaneOptions): Promise<ClusterLane> {
    const { group, endpoint, seeds, slots, clock, signal } = options;
    const pool = new NodePool(group, endpoint, seeds, signal);
    try {
      const map = await pool.slotMap(slots);
      const sender = new GroupSender(group, pool, map, slots, clock, signal);
      const marks = new ClusterMarks(slots);
      let version = Infinity;
      for (const node of map.nodes) {
        await pool.call(node, ["SCRIPT", "LOAD", APPLY_SCRIPT]);
        version = Math.min(version, readVersion(await pool.call(node, ["INFO", "server"])));
        await readMarks(
          pool,
          node,
          [...slots].filter((slot) => map.ownerOf(slot)?.name === node.name),
          options,
          marks,
        );
      }
      return new ClusterLane(options, pool, sender, marks, version);
    } catch (cause) {
      pool.close();
      throw cause;
    }
  }

  get position(): Position | null {
    return this.#position;
  }

  get safeSequence(): number {
    return this.#safeSequence;
  }

  async applyChanges({ slices, target }: ChangeGroup): Promise<number> {
    const groups = new GroupBook(this.#options, this.#marks);
    for (const { slice, batch } of slices) {
      this.#planner.each(slice, (unit) => {
        // A slot that the shard gave away meanwhile: a later history, with a copy of its own, has it.
        if (!this.#options.slots.has(unit.slot)) return;
        // A unit in parts has no distance: it ends where its last part does.
        const end = batch.part === null ? batch.previous + unit.end : batch.last;
        if (end > this.#marks.appliedIn(unit.slot)) groups.add(unit, end);
      });
    }
    await this.#send(groups.close(target));
    this.#position = target;
    const idle = groups.all.length === 0;
    if (this.#options.clock.monotonicMs() - this.#markedAtMs >= (idle ? IDLE_WATERMARK_MS : WATERMARK_MS))
      await this.#raiseWatermarks(target);
    return groups.bytes;
  }

  async isEmpty(): Promise<boolean> {
    const held = await Promise.all([...this.#options.slots].map(async (slot) => this.#keysIn(slot)));
    return held.every((keys) => keys.length === 0);
  }

  async claim(target: Position): Promise<void> {
    const next = formatMark(target);
    const groups: SlotGroup[] = [];
    for (const slot of this.#options.slots) {
      const position = this.#marks.positionOf(slot);
      if (position !== null && position.epoch >= target.epoch) continue;
      groups.push(new SlotGroup(slot, slotMark(this.#options, slot), this.#marks.textOf(slot), next));
    }
    await this.#send(groups);
    for (const { slot } of groups) this.#marks.moved(slot, next, target);
    this.#marks.follow(target.epoch);
    this.#position = target;
  }

  async applyValues(values: readonly SnapshotValue[]): Promise<number> {
    const groups = new GroupBook(this.#options, this.#marks);
    const options = { version: this.#version, shift: this.#options.shift };
    let base: Position | null = null;
    for (const value of values) {
      const commands = valueCommands(value, options);
      if (isLoose(value.rows, value.row)) await this.#everywhere(commands);
      else {
        const slot = value.rows.slots[value.row] as number;
        const standing = this.#copyingMark(slot);
        if (standing === null) continue;
        const unit = { slot, end: 0, commands: commands.map((command) => groupCommand(joined(command))), keys: [value.key] };
        groups.add({ ...unit, emptied: [], isDelicate: false }, standing.offset);
        base = standing;
      }
    }
    if (base !== null) await this.#send(groups.close(base));
    return groups.bytes;
  }

  async sweep(held: KeySet): Promise<number> {
    let swept = 0;
    for (;;) {
      const { map } = this.#sender;
      for (const slot of this.#options.slots) {
        const standing = this.#copyingMark(slot);
        if (standing !== null) swept += await this.#sweepSlot(slot, standing, held);
      }
      await this.#sender.refresh();
      // Keys of a slot that moved meanwhile may have been on the way from one node to the other.
      if (this.#sender.map.equals(map)) return swept;
    }
  }

  async goLive(target: Position): Promise<void> {
    const next = formatMark(target);
    const groups: SlotGroup[] = [];
    for (const slot of this.#options.slots) {
      if (this.#copyingMark(slot) === null) continue;
      groups.push(new SlotGroup(slot, slotMark(this.#options, slot), this.#marks.textOf(slot), next));
    }
    await this.#send(groups);
    for (const { slot } of groups) this.#marks.moved(slot, next, target);
    this.#marks.follow(target.epoch);
    this.#position = target;
    await this.#raiseWatermarks(target);
  }

  close(): void {
    this.#pool.close();
  }

  /** The mark of a slot that the lane's running copy has claimed and not finished; null for any other. */
  #copyingMark(slot: number): Position | null {
    const position = this.#marks.positionOf(slot);
    return position?.phase === "snap" && position.epoch === this.#position?.epoch ? position : null;
  }

  async #sweepSlot(slot: number, standing: Position, held: KeySet): Promise<number> {
    const stale = (await this.#keysIn(slot)).filter((key) => !held.has(0, key));
    for (let at = 0; at < stale.length; at += SWEEP_KEYS) {
      const some = stale.slice(at, at + SWEEP_KEYS);
      const groups = new GroupBook(this.#options, this.#marks);
      const unit = { slot, end: 0, commands: [groupCommand(encodeCommand(["DEL", ...some]))], keys: some };
      groups.add({ ...unit, emptied: [], isDelicate: false }, standing.offset);
      await this.#send(groups.close(standing));
    }
    return stale.length;
  }

  /** The keys of a slot on the node that serves it, without Sluice's own. */
  async #keysIn(slot: number): Promise<Buffer[]> {
    const node = this.#sender.map.ownerOf(slot);
    if (node === null) return [];
    const count = Number(await this.#pool.call(node, ["CLUSTER", "COUNTKEYSINSLOT", slot]));
    if (count === 0) return [];
    const reply = await this.#pool.call(node, ["CLUSTER", "GETKEYSINSLOT", slot, count]);
    return (Array.isArray(reply) ? reply : []).filter((key): key is Buffer => Buffer.isBuffer(key) && !isOwn(key));
  }

  /** What belongs to no slot goes to every primary, as it is: it may be repeated. */
  async #everywhere(commands: readonly ValueCommand[]): Promise<void> {
    for (const node of this.#sender.map.nodes) {
      for (const { before, pieces, after } of commands)
        await this.#pool.call(node, [...before, Buffer.concat(pieces), ...after]);
    }
  }

  /** Says on every node that the whole lane is applied up to `target`; a restart need not go back beyond it. */
  async #raiseWatermarks(target: Position): Promise<void> {
    const next = formatMark(target);
    const slots = new Set([...this.#sender.map.lowestOnEach(this.#options.slots), ...this.#marks.watermarkSlots]);
    const groups = [...slots].map(
      (slot) => new SlotGroup(slot, watermark(this.#options, slot), this.#marks.watermarkTextOf(slot), next),
    );
    await this.#send(groups);
    for (const slot of slots) this.#marks.watermarkMoved(slot, next, target);
    this.#safeSequence = target.sequence;
    this.#markedAtMs = this.#options.clock.monotonicMs();
  }

  async #send(groups: readonly SlotGroup[]): Promise<void> {
    try {
      await this.#sender.send(groups);
    } catch (cause) {
      if (!(cause instanceof StaleGroup)) throw cause;
      throw new StaleMark(`${this.name}, slot ${cause.group.slot}`, cause.group.expected, cause.found);
    }
  }
}

/** Groups in the order of their slots' units, each expecting what the one before it on its slot leaves. */
class GroupBook {
  readonly all: SlotGroup[] = [];
  bytes = 0;
  readonly #open = new Map<number, SlotGroup>();
  readonly #names: MarkNames;
  readonly #marks: ClusterMarks;

  constructor(names: MarkNames, marks: ClusterMarks) {
    this.#names = names;
    this.#marks = marks;
  }

  /** Adds a unit whose application leaves the slot at `offset`. */
  add({ slot, commands, keys, emptied, isDelicate }: SlotUnit, offset: number): void {
    let args = keys.length;
    let bytes = 0;
    for (const { argc, start, end } of commands) {
      args += argc + 1;
      bytes += end - start;
    }
    let group = this.#open.get(slot);
    const isFull = group !== undefined && (group.args + args > MOST_SCRIPT_ARGUMENTS || group.bytes + bytes > GROUP_BYTES);
    if (group === undefined || isFull || isDelicate || !group.mayFollow(keys)) {
      group = new SlotGroup(slot, slotMark(this.#names, slot), null, "");
      group.isDelicate = isDelicate;
      this.#open.set(slot, group);
      this.all.push(group);
    }
    for (const command of commands) group.add(command);
    for (const key of keys) group.addKey(key);
    group.addEmptied(emptied);
    group.offset = offset;
    this.bytes += bytes;
  }

  /** The groups, chained: `base` is what all their marks have in common. Nothing may be added any more. */
  close(base: Position): readonly SlotGroup[] {
    for (const group of this.all) {
      const next = { ...base, offset: group.offset };
      group.expected = this.#marks.textOf(group.slot) ?? "";
      group.next = formatMark(next);
      this.#marks.moved(group.slot, group.next, next);
    }
    return this.all;
  }
}

function joined({ before, pieces, after }: ValueCommand): Buffer {
  if (pieces.length === 0) return encodeCommand([...before, ...after]);
  return encodeCommand([...before, pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces), ...after]);
}

/** Reads the lane's marks on one node: those of its slots there, and every watermark that stands by one of them. */
async function readMarks(
  pool: NodePool,
  node: ClusterNode,
  slots: readonly number[],
  names: MarkNames,
  marks: ClusterMarks,
): Promise<void> {
  const connection = await pool.connection(node);
  const calls = slots.flatMap((slot) => [
    connection.call(["GET", slotMark(names, slot)]).then((mark) => marks.take("slot", slot, textOf(mark), node.name)),
    connection.call(["GET", watermark(names, slot)]).then((mark) => marks.take("watermark", slot, textOf(mark), node.name)),
  ]);
  const results = await Promise.allSettled(calls);
  const failed = results.find((result) => result.status === "rejected");
  if (failed === undefined) return;
  const endpoint = `destination ${names.group}`;
  throw new Retryable("DST-003", endpoint, `${endpoint}: the marks on ${node.name} can't be read`, { cause: failed.reason });
}

function textOf(reply: unknown): string | null {
  return Buffer.isBuffer(reply) ? reply.toString("latin1") : null;
}
