import { Halt } from "@sluice/runtime";
import { repairedKey, type Position } from "@sluice/wire";
import { commandsOf, keyOfPlace, swappedPlaces, type Place } from "../repair/commands-of.ts";
import { isFailingScript } from "../repair/failing-script.ts";
import { absentCommand, imageValue } from "../repair/image-commands.ts";
import type { KeyRepair } from "../repair/key-repair.ts";
import { askQuestions, LostVerdict } from "../repair/lost-verdict.ts";
import { isPassedOver, keysBetween, taintedKeys } from "../repair/pass-over.ts";
import { RepairBook, repairedField, repairedValue, type LaneHistory } from "../repair/repair-book.ts";
import type { SourceImages } from "../repair/source-keys.ts";
import { joinedRuns, keyedUnits, placedAt, type KeyedUnit, type UnitRun } from "../repair/unit-runs.ts";
import type { OwnedCommand, ValueForms } from "../snapshot/value-forms.ts";
import { addValueCommand, learnsFrom } from "./copy-step.ts";
import type { ChangePlanner } from "./plan-changes.ts";
import { Request } from "./request.ts";
import { CommandsFailed, GroupRefused, type StandaloneDestination } from "./standalone-destination.ts";
import { quotable } from "./verdict.ts";

/** Which commands of a request put a key there. */
interface WrittenImage {
  readonly place: Place;
  readonly from: number;
  readonly until: number;
}

/** The lane that repairs are made for. */
export interface RepairedLane {
  /** See `StandaloneLane`. */
  readonly applyRuns: (runs: readonly UnitRun[], next: Position, add?: (request: Request) => void) => Promise<number>;
  /** Applies a request of our own and leaves the mark as it is. */
  readonly applyBeside: (request: Request) => Promise<void>;
  readonly newPlanner: (trace?: (index: number) => void) => ChangePlanner;
}

export interface StandaloneRepairsOptions {
  readonly markKey: string;
  readonly forms: ValueForms;
  readonly repair: KeyRepair;
}

/**
 * What becomes of commands that failed in a destination that is one server, and of the keys that were repaired there.
 *
 * A repaired key is the source's at an offset O that the lane has not reached. Until it does, each unit on that key that ends at
 * or below O is passed over; the hash beside the mark keeps key → O, and changes with the mark only:
 *
 *     mark 100   unit 90 failed on k                      k differs
 *     repair     RESTORE k (at the source's 140), k → 140  mark stays 100
 *     mark 150   units on k up to 140 passed over, 150 applied, k → removed
 */
export class StandaloneRepairs {
  readonly #target: StandaloneDestination;
  readonly #lane: RepairedLane;
  readonly #repair: KeyRepair;
  readonly #forms: ValueForms;
  readonly #hash: string;
  readonly #book = new RepairBook();
  /** The hash may hold entries. */
  #hasHash: boolean;

  /** `epoch`: the lane's, which the entries must be of. Throws `Halt` DST-002 where they are needed and may not be read. */
  constructor(target: StandaloneDestination, lane: RepairedLane, options: StandaloneRepairsOptions, epoch: number) {
    this.#target = target;
    this.#lane = lane;
    this.#repair = options.repair;
    this.#forms = options.forms;
    this.#hash = repairedKey(options.markKey);
    if (target.repaired === null) options.repair.refusesUnread(target.name);
    this.#book.take(target.repaired, epoch);
    this.#hasHash = Array.isArray(target.repaired) && target.repaired.length > 0;
  }

  /** Repaired keys are ahead of the mark: units must go through `applyAround`. */
  get hasPending(): boolean {
    return this.#book.size > 0;
  }

  /** Everything that was repaired is void: a copy begins. `request`: its first one. */
  forget(request: Request): void {
    this.#book.clear();
    if (this.#hasHash) request.addCommand(["DEL", this.#hash]);
    this.#hasHash = false;
  }

  /** Commands of the runs, which have just been applied up to `next`, failed. Throws `failure` where the policy is to halt. */
  async failed(runs: readonly UnitRun[], all: CommandsFailed, next: Position): Promise<void> {
    const repair = this.#repair;
    const own = new Map([...this.#traced(runs, new Set())].map(({ index, id }) => [index, id]));
    const others = all.errors.filter(({ index, error }) => !isFailingScript(own.get(index) ?? -1, error));
    if (others.length === 0) return;
    const failure = others.length === all.errors.length ? all : new CommandsFailed(this.#target.name, others);
    // Something that `add` put behind the runs.
    if (failure.errors.some(({ index }) => !own.has(index))) throw failure;
    if (!failure.isDivergence || repair.policy === "halt") throw failure;
    if (repair.policy === "skip") {
      repair.skipped(failure.errors.length, failure.errors[0]?.error ?? "");
      return;
    }
    const failed = new Set(failure.errors.map(({ index }) => index));
    const tainted = taintedKeys(this.#traced(runs, failed));
    if (tainted === null) throw repair.unknownKeys(failure.message);
    repair.differing(true);
    await this.#repairKeys(tainted, next);
    repair.differing(false);
  }

  /**
   * The lane goes on in these histories, each from `previous` on: keys that were read in another one beyond that are read again,
   * before anything is applied to them or passed over.
   */
  async follow(histories: readonly LaneHistory[], target: Position): Promise<void> {
    const lost = histories.flatMap((history) => this.#book.ofOthers(history));
    if (lost.length > 0 && !(await this.#repairKeys(new Set(lost), target))) this.#book.clear();
  }

  /** Applies the units of the runs that are not in the destination already. */
  async applyAround(runs: readonly UnitRun[], target: Position): Promise<number> {
    await this.follow(
      runs.map(({ batch }) => batch),
      target,
    );
    const units = keyedUnits(runs);
    await this.#bringUp(units, target);
    let bytes = 0;
    let from = 0;
    for (const [index, unit] of units.entries()) {
      // One that nothing is ahead of may take the hash elsewhere all the same.
      if (!unit.isBarrier || this.#book.size === 0) continue;
      const previous = units[index - 1];
      if (previous !== undefined && index > from) {
        bytes += await this.#applyUnits(units.slice(from, index), placedAt(target, previous));
        await this.#bringUp(units.slice(index), target);
      }
      bytes += await this.#applyBarrier(unit, placedAt(target, unit));
      from = index + 1;
      await this.#bringUp(units.slice(from), target);
    }
    return bytes + (await this.#applyUnits(units.slice(from), target));
  }

  /**
   * Finds out how units went whose replies nobody read, and does what the policy says. `runs` is null where the stream does not
   * hold them any more. Throws `Halt` DST-004 where the policy is to halt.
   */
  async judge(runs: readonly UnitRun[] | null, position: Position): Promise<void> {
    const repair = this.#repair;
    if (runs === null) return repair.unjudged(null, "the stream does not hold these units any more");
    if (repair.policy !== "repair" && repair.isLifted) return;
    const verdict = new LostVerdict();
    // What was passed over never ran, and its keys are later than it: as long as no repair of them was refused.
    const units =
      this.hasPending && !repair.isLifted ? keyedUnits(runs).filter((unit) => !isPassedOver(unit, this.#book)) : runs;
    for (const unit of units) for (const { command } of commandsOf(unit)) verdict.add(command);
    // Something of it failed for sure, and the error need not even be one that a key's state shows.
    if (repair.policy === "repair" && repair.isLifted) return void (await this.#repairKeys(verdict.places, position));
    const { failed, unknown } = verdict.judge(
      await this.#target.aside(async (connection) => askQuestions(connection, verdict.questions())),
    );
    if (repair.policy === "repair") return void (await this.#repairKeys(new Set([...failed, ...unknown]), position));
    if (unknown.size > 0) repair.unjudged(verdict.commands, `${unknown.size} keys do not tell whether commands on them failed`);
    if (failed.size === 0) return;
    const what = `${failed.size} keys are not what commands must have left whose replies were lost`;
    if (repair.policy === "halt") throw new Halt("DST-004", `${this.#target.name}: ${what}`);
    repair.skipped(failed.size, what);
  }

  /** The commands of runs that were applied together, in order, with whether they failed. */
  *#traced(runs: readonly UnitRun[], failed: ReadonlySet<number>) {
    const indexes: number[] = [];
    const planner = this.#lane.newPlanner((index) => indexes.push(index));
    for (const { slice, from, until } of runs) planner.add({ ...slice, from }, until);
    let at = 0;
    for (const run of runs) {
      for (const { command } of commandsOf(run)) {
        const index = indexes[at] as number;
        yield {
          index,
          id: command.id,
          failed: failed.has(index),
          places: command.places,
          ...(command.swaps === undefined ? {} : { swaps: command.swaps }),
        };
        at++;
      }
    }
  }

  /** Afterwards none of the units is in between; to be asked again behind what may have had more keys repaired. */
  async #bringUp(units: readonly KeyedUnit[], target: Position): Promise<void> {
    await this.#repairKeys(keysBetween(units, this.#book), target);
    // What is not read from the source is left to a copy.
    if (keysBetween(units, this.#book).size > 0) this.#book.clear();
  }

  async #applyUnits(units: readonly KeyedUnit[], next: Position): Promise<number> {
    const runs = joinedRuns(units.filter((unit) => !isPassedOver(unit, this.#book)));
    const passed = this.#book.passed(next.offset);
    // From here on they say nothing any more; what this group repairs comes in anew.
    this.#book.remove(passed);
    if (passed.length === 0) return this.#lane.applyRuns(runs, next);
    return this.#lane.applyRuns(runs, next, (request) =>
      request.addCommand(["HDEL", this.#hash, ...passed.map(repairedField)]),
    );
  }

  /** What speaks of whole databases wipes or moves repaired keys, too, and the hash: they are put back in the same transaction. */
  async #applyBarrier(unit: KeyedUnit, next: Position): Promise<number> {
    const places = new Set(this.#book.covering(unit.end));
    /** Where the hash stands behind the unit. */
    let hashDb = 0;
    for (const [one, two] of swappedBy(unit)) {
      for (const place of swappedPlaces([...places], [one, two])) places.add(place);
      if (hashDb === one) hashDb = two;
      else if (hashDb === two) hashDb = one;
    }
    const read: SourceImages[] = [];
    for await (const images of this.#repair.read(places, next.epoch, next.offset)) read.push(images);
    this.#book.clear();
    const written: WrittenImage[] = [];
    const applied = this.#lane.applyRuns([unit], next, (request) => {
      if (hashDb !== 0) {
        request.select(hashDb);
        request.addCommand(["DEL", this.#hash]);
        request.select(0);
      }
      request.addCommand(["DEL", this.#hash]);
      for (const images of read) written.push(...this.#addImages(request, images, next.epoch));
    });
    const bytes = await applied.catch(async (cause: unknown) => {
      const isRefused = cause instanceof CommandsFailed && (await this.#refused(written, cause)) > 0;
      throw isRefused ? refusedRepair(this.#target.name, cause.errors[0]?.error ?? "") : cause;
    });
    for (const images of read) this.#done(images);
    return bytes;
  }

  /** False where some were left to a copy. */
  async #repairKeys(places: ReadonlySet<Place>, position: Position): Promise<boolean> {
    let left = places.size;
    for await (const images of this.#repair.read(places, position.epoch, position.offset)) {
      while (!(await this.#isWritten(images, position.epoch)));
      this.#done(images);
      left -= images.images.length;
    }
    return left === 0;
  }

  /** False where they are worth another try, in another form. */
  async #isWritten(images: SourceImages, epoch: number): Promise<boolean> {
    const request = new Request();
    const owners: (OwnedCommand | undefined)[] = [];
    this.#forms.begin();
    const written = this.#addImages(request, images, epoch, owners);
    try {
      await this.#lane.applyBeside(request);
    } catch (cause) {
      if (learnsFrom(cause, owners, this.#forms)) return false;
      if (cause instanceof GroupRefused) throw refusedRepair(this.#target.name, cause.error);
      if (!(cause instanceof CommandsFailed)) throw cause;
      await this.#refused(written, cause);
      throw refusedRepair(this.#target.name, cause.errors[0]?.error ?? "");
    }
    this.#forms.settled();
    return true;
  }

  /** The server took the entries and not all keys: what is not repaired must not pass for it. Returns how many those are. */
  async #refused(written: readonly WrittenImage[], { errors }: CommandsFailed): Promise<number> {
    const failed = written.filter(({ from, until }) => errors.some(({ index }) => index >= from && index < until));
    if (failed.length === 0) return 0;
    const request = new Request();
    request.addCommand(["HDEL", this.#hash, ...failed.map(({ place }) => repairedField(place))]);
    await this.#lane.applyBeside(request);
    this.#book.remove(failed.map(({ place }) => place));
    return failed.length;
  }

  /** `owners`: gets, at the index of each command that writes a value, whose it is. */
  #addImages(
    request: Request,
    { offset, replid, images }: SourceImages,
    epoch: number,
    owners: (OwnedCommand | undefined)[] = [],
  ): WrittenImage[] {
    const written: WrittenImage[] = [];
    let selected = 0;
    for (const image of images) {
      const { db } = keyOfPlace(image.place);
      if (db !== selected) request.select(db);
      selected = db;
      const from = request.commands;
      const value = imageValue(image);
      if (value === null) addValueCommand(request, absentCommand(image));
      else
        for (const command of this.#forms.commandsOf(value)) {
          owners[request.commands] = { value, command };
          addValueCommand(request, command);
        }
      written.push({ place: image.place, from, until: request.commands });
    }
    if (selected !== 0) request.select(0);
    const value = repairedValue(epoch, offset, replid);
    request.addCommand(["HMSET", this.#hash, ...images.flatMap(({ place }) => [repairedField(place), value])]);
    return written;
  }

  #done(images: SourceImages): void {
    this.#hasHash = true;
    this.#book.set(
      images.images.map(({ place }) => place),
      images.offset,
      images.replid,
    );
    this.#repair.repaired(images);
  }
}

/** A repair that the destination does not take. Nothing that comes later can be applied on top of it. */
export function refusedRepair(name: string, error: string): Halt {
  return new Halt("DST-014", `${name} refuses a key from the source: ${quotable(error)}`);
}

/** The databases that each SWAPDB of the unit swaps, in order. */
function swappedBy({ slice, from, until }: KeyedUnit): (readonly [number, number])[] {
  const swapped: (readonly [number, number])[] = [];
  for (const { command } of commandsOf({ slice, from, until })) {
    if (command.swaps !== undefined) swapped.push(command.swaps);
  }
  return swapped;
}
