import { createHash } from "node:crypto";
import { encodeCommand, keySlot, type Reply } from "@sluice/redis";
import { Halt } from "@sluice/runtime";
import { formatMark, markBeside, repairedKey, type FailedCommands, type Position } from "@sluice/wire";
import { refusedRepair } from "../apply/standalone-repairs.ts";
import { quotable, verdictOf } from "../apply/verdict.ts";
import type { UnjudgedSpan } from "../lane-destination.ts";
import { commandOf, keyOfPlace, placeOf, type Place, type PlacedCommand } from "../repair/commands-of.ts";
import { isFailingScript } from "../repair/failing-script.ts";
import { absentCommand, imageValue, joinedCommand } from "../repair/image-commands.ts";
import type { KeyRepair } from "../repair/key-repair.ts";
import { askQuestions, LostVerdict } from "../repair/lost-verdict.ts";
import { isPassedOver, keysBetween, taintedKeys } from "../repair/pass-over.ts";
import { RepairBook, repairedField, repairedValue, type LaneHistory } from "../repair/repair-book.ts";
import type { KeyImage, SourceImages } from "../repair/source-keys.ts";
import type { UnitRun } from "../repair/unit-runs.ts";
import type { ValueCommand } from "../snapshot/value-commands.ts";
import type { OwnedCommand, ValueForms } from "../snapshot/value-forms.ts";
import { plainCommand, SlotGroup, type GroupCommand } from "./apply-script.ts";
import { slotMark, type ClusterMarks, type MarkNames } from "./cluster-marks.ts";
import type { GroupBook } from "./group-book.ts";
import { groupCommand, type SlotPlanner, type SlotUnit } from "./group-plan.ts";
import { failedBehindMark, staleMarkOf, type GroupFailure, type GroupSender } from "./group-sender.ts";
import type { NodePool } from "./node-pool.ts";

/** The lane that repairs are made for. */
export interface RepairedClusterLane {
  readonly names: MarkNames;
  readonly marks: ClusterMarks;
  readonly sender: GroupSender;
  readonly pool: NodePool;
  readonly planner: SlotPlanner;
  readonly forms: ValueForms;
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

  /** What was repaired in a slot is void: a copy of it begins. `group`: with which it claims the slot. */
  forget(group: SlotGroup): void {
    if (!this.#hashed.delete(group.slot)) return;
    this.#book.removeWhere((place) => slotOf(place) === group.slot);
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
        for (const command of unit.commands) commands.push(command);
      });
    }
    if (runs === null) this.#judgeUnread(open.keys());
    else if (repair.policy === "repair" || !repair.isLifted)
      for (const [slot, commands] of open) await this.#judgeSlot(slot, commands, around.has(slot));
    for (const slot of open.keys()) await this.#settled(slot);
  }

  /**
   * The lane goes on in these histories, each from `previous` on: keys that were read in another one beyond that are read again,
   * before anything is applied to them or passed over.
   */
  async follow(histories: readonly LaneHistory[], target: Position): Promise<void> {
    const lost = histories.flatMap((history) => this.#book.ofOthers(history));
    if (lost.length > 0 && !(await this.#repairKeys(new Set(lost), target))) this.#book.clear();
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
    await this.#remove(passed);
  }

  async #remove(places: readonly Place[]): Promise<void> {
    const groups = [...bySlot(places, (place) => place)].map(([slot, some]) => {
      const hash = this.#hash(slot);
      return this.#beside(slot, [encodeCommand(["HDEL", hash, ...some.map(repairedField)])], [Buffer.from(hash)]);
    });
    await this.#send(groups);
    this.#book.remove(places);
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
      if (isScriptAlone(group.commands, failed)) continue;
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

  /** The stream does not hold the units any more: what a mark says failed is known all the same. */
  #judgeUnread(slots: Iterable<number>): void {
    const { names, marks, repair } = this.#lane;
    repair.unjudged(null, "the stream does not hold these units any more");
    if (repair.isLifted) return;
    for (const slot of slots) {
      const failed = marks.judgedOf(slot)?.failed;
      if (failed === undefined) continue;
      const what = failedUnanswered(names.group, slot);
      if (verdictOf(failed.error) === "halt") throw new Halt("DST-007", `${what}: ${quotable(failed.error)}`);
      if (repair.policy === "halt") throw new Halt("DST-004", `${what}: ${quotable(failed.error)}`);
      if (repair.policy === "repair") throw repair.unknownKeys(`${what}: ${quotable(failed.error)}`);
      repair.skipped(failed.count, failed.error);
    }
  }

  /** `isAround`: some of the commands may have been passed over, so that which is the n-th that ran can't be told. */
  async #judgeSlot(slot: number, commands: readonly GroupCommand[], isAround: boolean): Promise<void> {
    const { names, marks, repair } = this.#lane;
    const known = marks.judgedOf(slot)?.failed;
    const noted = known !== undefined && isAround ? { ...known, indexes: [0], count: Infinity } : known;
    const what = failedUnanswered(names.group, slot);
    if (noted !== undefined) {
      const error = quotable(noted.error);
      if (verdictOf(noted.error) === "halt" && !repair.isLifted) throw new Halt("DST-007", `${what}: ${error}`);
      if (repair.policy === "repair") {
        await this.#repairKeys(this.#taintedBy(commands, noted, what), this.#standing(slot));
        return;
      }
      if (repair.policy === "halt") throw new Halt("DST-004", `${what}: ${error}`);
      return repair.skipped(known?.count ?? 0, noted.error);
    }
    const verdict = new LostVerdict();
    for (const command of commands) verdict.add(placed(command));
    if (repair.policy === "repair" && (repair.isLifted || isAround)) {
      await this.#repairKeys(verdict.places, this.#standing(slot));
      return;
    }
    const { failed, unknown } = verdict.judge(await this.#ask(slot, verdict));
    if (repair.policy === "repair") {
      await this.#repairKeys(new Set([...failed, ...unknown]), this.#standing(slot));
      return;
    }
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
      commands.map((command, index) => {
        const { places } = placed(command);
        // A message has no key to be repaired, whether it failed or not.
        const mayHaveFailed = isCut && index > last && places?.length !== 0;
        return { failed: known.has(index) || mayHaveFailed, places };
      }),
    );
    if (tainted === null) throw this.#lane.repair.unknownKeys(what);
    return tainted;
  }

  /** False where some were left to a copy. */
  async #repairKeys(places: ReadonlySet<Place>, { epoch, offset }: Position): Promise<boolean> {
    let left = places.size;
    for await (const images of this.#lane.repair.read(places, epoch, offset)) {
      await this.#write(images, epoch);
      this.#book.set(
        images.images.map(({ place }) => place),
        images.offset,
        images.replid,
      );
      this.#lane.repair.repaired(images);
      left -= images.images.length;
    }
    return left === 0;
  }

  /** By transactions: values may be larger than a script should take. A key that is refused must not pass for repaired. */
  async #write({ offset, replid, images }: SourceImages, epoch: number): Promise<void> {
    const { forms, names } = this.#lane;
    for (;;) {
      forms.begin();
      /** Per command of a group the key that it repairs, and the value where it writes one. */
      const writtenBy = new Map<SlotGroup, { readonly place: Place; readonly owned: OwnedCommand | null }[]>();
      const groups = [...bySlot(images, ({ place }) => place)].map(([slot, some]) => {
        const written = some.flatMap((image) => this.#commandsOf(image));
        const value = repairedValue(epoch, offset, replid);
        const fields = some.flatMap(({ place }) => [repairedField(place), value]);
        const note = encodeCommand(["HMSET", this.#hash(slot), ...fields]);
        const group = this.#beside(slot, [...written.map(({ command }) => joinedCommand(command)), note]);
        group.isDelicate = true;
        writtenBy.set(group, written);
        return group;
      });
      for (const { slot } of groups) this.#hashed.add(slot);
      const failures = await this.#sendBeside(groups);
      const [first] = failures;
      if (first === undefined) return forms.settled();
      const failedOf = ({ group, failed }: GroupFailure) => failed.indexes.flatMap((at) => writtenBy.get(group)?.[at] ?? []);
      const isLearnt = failures.map((failure) =>
        forms.learns(
          failedOf(failure).flatMap(({ owned }) => owned ?? []),
          () => failure.failed.error,
        ),
      );
      if (isLearnt.every(Boolean)) continue;
      await this.#remove(failures.flatMap((failure) => failedOf(failure).map(({ place }) => place)));
      throw refusedRepair(names.group, first.failed.error);
    }
  }

  #commandsOf(image: KeyImage): { command: ValueCommand; place: Place; owned: OwnedCommand | null }[] {
    const value = imageValue(image);
    const { place } = image;
    if (value === null) return [{ command: absentCommand(image), place, owned: null }];
    return this.#lane.forms.commandsOf(value).map((command) => ({ command, place, owned: { value, command } }));
  }

  /** The slot's mark says from here on that everything up to it is known to be in order. */
  async #settled(slot: number): Promise<void> {
    const { marks } = this.#lane;
    const position = this.#standing(slot);
    const text = marks.textOf(slot);
    const next = formatMark(position);
    if (next !== text) await this.#send([new SlotGroup(slot, slotMark(this.#lane.names, slot), text, next)]);
  }

  async #send(groups: readonly SlotGroup[]): Promise<void> {
    const [failure] = await this.#sendBeside(groups);
    if (failure !== undefined)
      throw new Halt("DST-002", `${this.#lane.names.group} refuses: ${quotable(failure.failed.error)}`);
  }

  /** Sends groups that leave their slots where they stand. */
  async #sendBeside(groups: readonly SlotGroup[]): Promise<GroupFailure[]> {
    const { sender, marks, names } = this.#lane;
    const failures = await sender.send(groups).catch((cause: unknown) => {
      throw staleMarkOf(names.group, cause);
    });
    for (const { slot, next } of groups) marks.moved(slot, next, this.#standing(slot));
    for (const { group, mark } of failures) marks.moved(group.slot, mark, this.#standing(group.slot));
    return failures;
  }

  /**
   * A group that leaves the slot where it stands. Its mark gets another text all the same, by what is written and over what: a
   * former writer that was suspended with a repair of its own, of an older value, finds another mark than it expects.
   */
  #beside(slot: number, commands: readonly Buffer[], keys: readonly Buffer[] = []): SlotGroup {
    const mark = this.#lane.marks.textOf(slot) ?? "";
    const digest = createHash("sha256").update(mark);
    for (const command of commands) digest.update(command);
    const next = markBeside(mark, digest.digest("hex").slice(0, 8));
    const group = new SlotGroup(slot, slotMark(this.#lane.names, slot), mark, next);
    for (const command of commands) group.add(groupCommand(command));
    for (const key of keys) group.addKey(key);
    return group;
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

function failedUnanswered(group: string, slot: number): string {
  return `commands on slot ${slot} failed in ${group} whose answers were lost`;
}

function slotOf(place: Place): number {
  return keySlot(keyOfPlace(place).key);
}

function bySlot<T>(items: readonly T[], place: (item: T) => Place): Map<number, T[]> {
  const slots = new Map<number, T[]>();
  for (const item of items) {
    const slot = slotOf(place(item));
    slots.set(slot, [...(slots.get(slot) ?? []), item]);
  }
  return slots;
}

function placed(command: GroupCommand): PlacedCommand {
  const read = commandOf(Buffer.concat(plainCommand(command)), 0);
  return command.keys === undefined ? read : { ...read, places: command.keys.map((key) => placeOf(0, key)) };
}

/** Scripts go alone, see `isFailingScript`. */
function isScriptAlone(commands: readonly GroupCommand[], { indexes, error }: FailedCommands): boolean {
  const [first] = commands;
  return first !== undefined && commands.length === 1 && indexes.length === 1 && isFailingScript(placed(first).id, error);
}
