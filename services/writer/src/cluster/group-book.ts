import { formatMark, type Position } from "@sluice/wire";
import { bytesOf, MOST_SCRIPT_ARGUMENTS, SlotGroup } from "./apply-script.ts";
import { slotMark, type ClusterMarks, type MarkNames } from "./cluster-marks.ts";
import type { SlotUnit } from "./group-plan.ts";

/** One script call takes so much at most: it holds its node up meanwhile. */
const GROUP_BYTES = 512 * 1024;

/** Groups in the order of their slots' units, each expecting what the one before it on its slot leaves. */
export class GroupBook {
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
    for (const command of commands) {
      args += command.argc + 1;
      bytes += bytesOf(command);
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
      const before = this.#marks.positionOf(group.slot);
      group.expected = this.#marks.textOf(group.slot) ?? "";
      // A script notes by itself what fails; of a transaction nobody would know if its answer is lost.
      const judged = { offset: before?.offset ?? 0, sequence: before?.sequence ?? 0 };
      group.next = formatMark(group.fitsScript || before?.phase !== "live" ? next : { ...next, judged });
      this.#marks.moved(group.slot, group.next, next);
    }
    return this.all;
  }
}
