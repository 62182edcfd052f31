import { encodeCommand, keySlot, type Reply } from "@sluice/redis";
import { Halt } from "@sluice/runtime";
import { formatMark, repairedKey, type FailedCommands, type Position } from "@sluice/wire";
import { refusedRepair } from "../apply/standalone-repairs.ts";
import { quotable, verdictOf } from "../apply/verdict.ts";
import type { UnjudgedSpan } from "../lane-destination.ts";
import { commandOf, keyOfPlace, placeOf, type Place } from "../repair/commands-of.ts";
import { imageCommands, joinedCommand } from "../repair/image-commands.ts";
import type { KeyRepair } from "../repair/key-repair.ts";
import { askQuestions, LostVerdict } from "../repair/lost-verdict.ts";
import { isPassedOver, keysBetween, taintedKeys } from "../repair/pass-over.ts";
import { RepairBook, repairedField, repairedValue } from "../repair/repair-book.ts";
import type { KeyImage, SourceImages } from "../repair/source-keys.ts";
import type { UnitRun } from "../repair/unit-runs.ts";
import { plainCommand, SlotGroup, type GroupCommand } from "./apply-script.ts";
import { slotMark, type ClusterMarks, type MarkNames } from "./cluster-marks.ts";
import type { GroupBook } from "./group-book.ts";
import { groupCommand, type SlotPlanner, type SlotUnit } from "./group-plan.ts";
import { failedBehindMark, type GroupFailure, type GroupSender } from "./group-sender.ts";
import type { NodePool } from "./node-pool.ts";

/** The lane that repairs are made for. */
export interface RepairedClusterLane {
  readonly names: MarkNames;
  readonly marks: ClusterMarks;
  readonly sender: GroupSender;
  readonly pool: NodePool;
  readonly planner: SlotPlanner;
  readonly version: number;
  readonly shift: (expireAtMs: number) => number;
  readonly repair: KeyRepair;
}

/** A unit that is not in its slot yet, and where it ends. */
export interface OpenUnit {
  readonly unit: SlotUnit;
  readonly end: number;
}

/**
 * What becomes of commands that failed in a cluster, and of the keys that were repaired there: as `StandaloneRepairs`, slot by
 * slot. A slot whose mark says that something failed takes no further group until that is settled and the mark is a plain one
 * again; the others go on. The hash of repaired keys has the slot's tag and moves with it.
 */
export class ClusterRepairs {
  readonly #lane: RepairedClusterLane;
  readonly #book = new RepairBook();
  /** Slots whose hash may hold something. */
  readonly #hashed = new Set<number>();

  constructor(lane: RepairedClusterLane) {
    this.#lane = lane;
  }

  /** Takes in a slot's hash as HGETALL answered it; `epoch`: the lane's. */
  take(slot: number, reply: Reply, epoch: number): void {
    this.#book.take(reply, epoch);
    this.#hashed.add(slot);
  }

  get hasPending(): boolean {
    return this.#book.size > 0;
  }

  /** Everything that was repaired is void: a copy begins. `group`: with which it claims a slot. */
  forget(group: SlotGroup): void {
    this.#book.clear();
    if (!this.#hashed.delete(group.slot)) return;
    group.add(groupCommand(encodeCommand(["DEL", this.#hash(group.slot)])));
    group.addKey(Buffer.from(this.#hash(group.slot)));
  }

  /** What an earlier writer left unjudged in the slots of a lane that is live at `position`; null where it left nothing. */
  unjudged(slots: Iterable<number>, position: Position): UnjudgedSpan | null {
    let to = { offset: position.offset, sequence: position.sequence };
    for (const slot of this.#unjudgedSlots(slots, position)) {
      const { offset, sequence } = this.#standing(slot);
      to = { offset: Math.max(to.offset, offset), sequence: Math.max(to.sequence, sequence) };
    }
    return to.offset === position.offset ? null : { from: { offset: position.offset, sequence: position.sequence }, to };
  }

  /** As `LaneDestination.judge`, for the slots that `unjudged` found. */
  async judge(runs: readonly UnitRun[] | null, slots: Iterable<number>, position: Position): Promise<void> {
    const { marks, planner, repair } = this.#lane;
    const open = new Map(this.#unjudgedSlots(slots, position).map((slot): [number, GroupCommand[]] => [slot, []]));
    const around = new Set<number>();
    for (const run of runs ?? []) {
      planner.each(run.slice, (unit) => {
        const end = run.batch.part === null ? run.batch.previous + unit.end : run.batch.last;
        const commands = open.get(unit.slot);
        const judged = marks.judgedOf(unit.slot)?.offset ?? Infinity;
        if (commands === undefined || end <= judged || end > this.#standing(unit.slot).offset) return;
        if (unit.keys.some((key) => this.#book.covers(placeOf(0, key), end))) around.add(unit.slot);
        commands.push(...unit.commands);
      });
    }
    if (runs === null) repair.unjudged(null, "the stream does not hold these units any more");
    else if (repair.policy === "repair" || !repair.isLifted)
      for (const [slot, commands] of open) await this.#judgeSlot(slot, commands, around.has(slot));
    for (const slot of open.keys()) await this.#settled(slot);
  }

  /** Adds the units to the groups; one whose effect is in its slot already only moves the slot's mark. */
  async addAround(units: readonly OpenUnit[], groups: GroupBook, target: Position): Promise<void> {
    const placed = units.map(({ unit, end }) => ({ end, places: unit.keys.map((key) => placeOf(0, key)) }));
    await this.#repairKeys(keysBetween(placed, this.#book), target);
    // What is not read from the source is left to a copy.
    if (keysBetween(placed, this.#book).size > 0) this.#book.clear();
    for (const [index, { unit, end }] of units.entries()) {
      const isPassed = isPassedOver(placed[index] ?? { end, places: null }, this.#book);
      groups.add(isPassed ? { ...unit, commands: [], keys: [], emptied: [], isDelicate: false } : unit, end);
    }
  }

  /** Removes what says nothing any more once the whole lane is applied up to `offset`. */
  async tidy(offset: number): Promise<void> {
    const passed = this.#book.passed(offset);
    if (passed.length === 0) return;
    const groups = [...bySlot(passed, (place) => place)].map(([slot, places]) => {
      const group = this.#beside(slot);
      group.add(groupCommand(encodeCommand(["HDEL", this.#hash(slot), ...places.map(repairedField)])));
      group.addKey(Buffer.from(this.#hash(slot)));
      return group;
    });
    await this.#send(groups);
    this.#book.remove(passed);
  }

  /**
   * Commands failed in these slots; afterwards their marks are plain ones again, and the lane's next groups can follow. Throws
   * `Halt` DST-004 or DST-007 where the policy is to halt.
   */
  async settle(failures: readonly GroupFailure[], target: Position): Promise<void> {
    const { names, repair, marks } = this.#lane;
    const tainted = new Set<Place>();
    for (const { group, mark, failed } of failures) {
      marks.moved(group.slot, mark, { ...target, offset: group.offset });
      const halt = failedBehindMark(names.group, { group, mark, failed });
      if (verdictOf(failed.error) === "halt" || repair.policy === "halt") throw halt;
      if (repair.policy === "skip") repair.skipped(failed.count, failed.error);
      else for (const place of this.#taintedBy(group.commands, failed, halt.message)) tainted.add(place);
    }
    if (tainted.size > 0) repair.differing(true);
    await this.#repairKeys(tainted, target);
    for (const { group } of failures) await this.#settled(group.slot);
    repair.differing(false);
  }

  /** `isAround`: some of the commands may have been passed over, so that which is the n-th that ran can't be told. */
  async #judgeSlot(slot: number, commands: readonly GroupCommand[], isAround: boolean): Promise<void> {
    const { names, marks, repair } = this.#lane;
    const known = marks.judgedOf(slot)?.failed;
    const noted = known !== undefined && isAround ? { ...known, indexes: [0], count: Infinity } : known;
    const what = `commands on slot ${slot} failed in ${names.group} whose answers were lost`;
    if (noted !== undefined) {
      const error = quotable(noted.error);
      if (verdictOf(noted.error) === "halt" && !repair.isLifted) throw new Halt("DST-007", `${what}: ${error}`);
      if (repair.policy === "repair") return this.#repairKeys(this.#taintedBy(commands, noted, what), this.#standing(slot));
      if (repair.policy === "halt") throw new Halt("DST-004", `${what}: ${error}`);
      return repair.skipped(known?.count ?? 0, noted.error);
    }
    const verdict = new LostVerdict();
    for (const command of commands) verdict.add(commandOf(Buffer.concat(plainCommand(command)), 0));
    if (repair.policy === "repair" && (repair.isLifted || isAround))
      return this.#repairKeys(verdict.places, this.#standing(slot));
    const { failed, unknown } = verdict.judge(await this.#ask(slot, verdict));
    if (repair.policy === "repair") return this.#repairKeys(new Set([...failed, ...unknown]), this.#standing(slot));
    if (unknown.size > 0) repair.unjudged(verdict.commands, `${unknown.size} keys do not tell whether commands on them failed`);
    if (failed.size === 0) return;
    if (repair.policy === "halt") throw new Halt("DST-004", what);
    repair.skipped(failed.size, what);
  }

  /** Keys that what failed may have left other than the source's. `commands`: all of the group, or of what the mark speaks of. */
  #taintedBy(commands: readonly GroupCommand[], { indexes, count }: FailedCommands, what: string): Set<Place> {
    const known = new Set(indexes);
    const last = indexes.at(-1) ?? -1;
    const isCut = count > indexes.length;
    const tainted = taintedKeys(
      commands.map((command, index) => ({
        failed: known.has(index) || (isCut && index > last),
        places: commandOf(Buffer.concat(plainCommand(command)), 0).places,
      })),
    );
    if (tainted === null) throw this.#lane.repair.unknownKeys(what);
    return tainted;
  }

  async #repairKeys(places: ReadonlySet<Place>, { epoch, offset }: Position): Promise<void> {
    for await (const images of this.#lane.repair.read(places, epoch, offset)) {
      await this.#write(images, epoch);
      this.#book.set(
        images.images.map(({ place }) => place),
        images.offset,
      );
      this.#lane.repair.repaired(images);
    }
  }

  /** By transactions: values may be larger than a script should take, and a key that is refused must not pass for repaired. */
  async #write({ offset, images }: SourceImages, epoch: number): Promise<void> {
    const { version, shift, names } = this.#lane;
    const groups = [...bySlot(images, ({ place }) => place)].map(([slot, some]) => {
      const group = this.#beside(slot);
      group.isDelicate = true;
      const commands = some.flatMap((image: KeyImage) => imageCommands(image, { version, shift }));
      for (const command of commands) group.add(groupCommand(joinedCommand(command)));
      const fields = some.flatMap(({ place }) => [repairedField(place), repairedValue(epoch, offset)]);
      group.add(groupCommand(encodeCommand(["HMSET", this.#hash(slot), ...fields])));
      return group;
    });
    for (const { slot } of groups) this.#hashed.add(slot);
    const [refused] = await this.#lane.sender.send(groups);
    if (refused !== undefined) throw refusedRepair(names.group, refused.failed.error);
  }

  /** The slot's mark says from here on that everything up to it is known to be in order. */
  async #settled(slot: number): Promise<void> {
    const { marks } = this.#lane;
    const position = this.#standing(slot);
    const group = this.#beside(slot);
    group.next = formatMark(position);
    if (group.next === group.expected) return;
    await this.#send([group]);
    marks.moved(slot, group.next, position);
  }

  async #send(groups: readonly SlotGroup[]): Promise<void> {
    const [failure] = await this.#lane.sender.send(groups);
    if (failure !== undefined)
      throw new Halt("DST-002", `${this.#lane.names.group} refuses: ${quotable(failure.failed.error)}`);
  }

  /** A group that leaves the slot's mark as it is. */
  #beside(slot: number): SlotGroup {
    const { marks, names } = this.#lane;
    const mark = marks.textOf(slot);
    return new SlotGroup(slot, slotMark(names, slot), mark, mark ?? "");
  }

  #hash(slot: number): string {
    return repairedKey(slotMark(this.#lane.names, slot));
  }

  #standing(slot: number): Position {
    const position = this.#lane.marks.positionOf(slot);
    if (position === null) throw new Error(`slot ${slot} has no mark`);
    return position;
  }

  #unjudgedSlots(slots: Iterable<number>, { epoch, offset }: Position): number[] {
    const { marks } = this.#lane;
    return [...slots].filter((slot) => {
      const position = marks.positionOf(slot);
      const isAhead = position?.epoch === epoch && position.phase === "live" && position.offset > offset;
      return isAhead && marks.judgedOf(slot) !== null;
    });
  }

  async #ask(slot: number, verdict: LostVerdict): Promise<(string | Error)[]> {
    const { pool, sender, names } = this.#lane;
    const node = sender.map.ownerOf(slot);
    if (node === null) throw new Halt("DST-011", `no node of ${names.group} serves slot ${slot}`);
    const connection = await pool.connection(node);
    return askQuestions(connection, verdict.questions());
  }
}

function bySlot<T>(items: readonly T[], place: (item: T) => Place): Map<number, T[]> {
  const slots = new Map<number, T[]>();
  for (const item of items) {
    const slot = keySlot(keyOfPlace(place(item)).key);
    slots.set(slot, [...(slots.get(slot) ?? []), item]);
  }
  return slots;
}
