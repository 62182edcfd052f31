import { encodeCommand, type Endpoint, type Reply } from "@sluice/redis";
import { Retryable, type Clock } from "@sluice/runtime";
import { compareHistories, formatMark, type Position, type SlotSet } from "@sluice/wire";
import { readServer } from "../apply/destination-server.ts";
import { askForRestore, destinationFault } from "../apply/standalone-destination.ts";
import type { Keeping } from "../keep/keeping.ts";
import { KeptSlots } from "../keep/kept-slots.ts";
import type {
  ChangeGroup,
  LaneDestination,
  PartedValue,
  SnapshotValue,
  UnjudgedSpan,
  ValueBuild,
} from "../lane-destination.ts";
import type { KeyRepair } from "../repair/key-repair.ts";
import type { LaneHistory } from "../repair/repair-book.ts";
import type { UnitRun } from "../repair/unit-runs.ts";
import { Abilities } from "../rewrite/abilities.ts";
import { readAbilities } from "../rewrite/read-abilities.ts";
import type { KeySet } from "../snapshot/key-set.ts";
import { ValueForms, type ValueFormsOptions } from "../snapshot/value-forms.ts";
import { APPLY_SCRIPT, SlotGroup } from "./apply-script.ts";
import { ClusterMarks, slotMark, type MarkNames } from "./cluster-marks.ts";
import { ClusterRepairs, type OpenUnit } from "./cluster-repairs.ts";
import { ClusterValues, removeClusterLeftovers } from "./cluster-values.ts";
import { GroupBook } from "./group-book.ts";
import { runEverywhere } from "./everywhere.ts";
import { groupCommand, SlotPlanner } from "./group-plan.ts";
import { failedBehindMark, GroupSender, staleMarkOf, type GroupFailure } from "./group-sender.ts";
import { NodePool } from "./node-pool.ts";
import { readMarks } from "./read-marks.ts";
import type { ClusterNode } from "./slot-map.ts";
import { SlotKeys } from "./slot-keys.ts";
import { Watermarks } from "./watermarks.ts";

const WATERMARK_MS = 5_000;
/** An idle lane's watermarks follow sooner, so that a drained lane says so. */
const IDLE_WATERMARK_MS = 500;
const SWEEP_KEYS = 500;
const RAISE_PAUSE_MS = 100;
/** A copy that ends waits so long for nodes that can't take a watermark for a moment; then the lane starts again and says so. */
const RAISE_PATIENCE_MS = 5_000;

export interface ClusterLaneOptions extends MarkNames {
  readonly label: string;
  /** Credentials and TLS of every node. */
  readonly endpoint: Endpoint;
  readonly seeds: readonly ClusterNode[];
  /** The lane's slots. */
  readonly slots: SlotSet;
  readonly shift: (expireAtMs: number) => number;
  readonly values: Omit<ValueFormsOptions, "server" | "lacksRestore">;
  readonly repair: KeyRepair;
  /** With `existing: keep`. */
  readonly keeping?: Keeping;
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
  readonly abilities: Abilities;
  readonly #options: ClusterLaneOptions;
  readonly #pool: NodePool;
  readonly #sender: GroupSender;
  readonly #marks: ClusterMarks;
  readonly #watermarks: Watermarks;
  readonly #planner: SlotPlanner;
  readonly #repairs: ClusterRepairs;
  readonly #kept: KeptSlots | null;
  #unjudged: UnjudgedSpan | null = null;
  readonly #values: ClusterValues;
  readonly #keys: SlotKeys;
  #position: Position | null;
  #safeSequence = 0;
  #markedAtMs: number;

  private constructor(
    options: ClusterLaneOptions,
    pool: NodePool,
    sender: GroupSender,
    marks: ClusterMarks,
    watermarks: Watermarks,
    abilities: Abilities,
    forms: ValueForms,
    repaired: ReadonlyMap<number, Reply>,
    kept: KeptSlots | null,
  ) {
    this.#kept = kept;
    this.name = options.group;
    this.#options = options;
    this.#pool = pool;
    this.#sender = sender;
    this.#marks = marks;
    this.#watermarks = watermarks;
    this.abilities = abilities;
    this.#keys = new SlotKeys(pool, options.slots);
    this.#planner = new SlotPlanner(options.shift, options.label);
    this.#position = marks.position(options.shard, (slot) => sender.map.ownerOf(slot)?.name ?? "");
    if (this.#position !== null) marks.follow(this.#position);
    if (this.#position?.phase === "live") this.#safeSequence = this.#position.sequence;
    this.#markedAtMs = options.clock.monotonicMs();
    const { repair, slots } = options;
    const lane = { names: options, slots, marks, sender, pool, forms };
    this.#values = new ClusterValues({ ...lane, copyingMark: this.#copyingMark.bind(this), send: this.#send.bind(this) });
    this.#repairs = new ClusterRepairs({ ...lane, planner: this.#planner, repair });
    for (const [slot, reply] of repaired) this.#repairs.take(slot, reply, this.#position?.epoch ?? 0);
    if (this.#position?.phase === "live") this.#unjudged = this.#repairs.unjudged(options.slots, this.#position);
  }

  /** Reads the slot map and all marks of the lane, and loads the script. Throws `Retryable` DST-001, DST-003, `Halt` DST-002, DST-005. */
  static async open(options: ClusterLaneOptions): Promise<ClusterLane> {
    const { group, endpoint, seeds, slots, keeping, clock, signal } = options;
    const pool = new NodePool(group, endpoint, seeds, signal);
    try {
      const map = await pool.slotMap(slots);
      const sender = new GroupSender(group, pool, map, slots, clock, signal);
      const marks = new ClusterMarks(slots);
      const watermarks = new Watermarks(options, pool, slots, marks, map);
      const abilities: Abilities[] = [];
      let lacksRestore: string | null = null;
      const repaired = new Map<number, Reply>();
      const kept = keeping === undefined ? null : new KeptSlots(options, slots, pool, keeping);
      for (const node of map.nodes) {
        const own = [...slots].filter((slot) => map.ownerOf(slot)?.name === node.name);
        await watermarks.meet(node);
        await pool.call(node, ["SCRIPT", "LOAD", APPLY_SCRIPT]);
        abilities.push(await abilitiesOf(group, pool, node));
        lacksRestore ??= await askForRestore(await pool.connection(node));
        await readMarks(pool, node, own, options, options.repair, marks, repaired);
        await kept?.read(node, own);
      }
      await kept?.requireBeside(marks, map);
      const all = Abilities.ofAll(abilities);
      const forms = new ValueForms({ ...options.values, server: all.server, lacksRestore });
      await removeClusterLeftovers({ names: options, slots, pool, forms }, map);
      return new ClusterLane(options, pool, sender, marks, watermarks, all, forms, repaired, kept);
    } catch (cause) {
      pool.close();
      throw cause;
    }
  }

  get position(): Position | null {
    return this.#position;
  }

  get reached(): number {
    return this.#highest?.offset ?? 0;
  }

  get reachedIn(): string | null {
    return this.#highest?.replid ?? null;
  }

  get #highest(): Position | null {
    if (this.#position?.phase !== "live") return null;
    const furthest = this.#marks.furthest(this.#position);
    return furthest !== null && furthest.offset > this.#position.offset ? furthest : this.#position;
  }

  get safeSequence(): number {
    return this.#safeSequence;
  }

  get lost(): string | null {
    const { missing } = this.#marks;
    // Slots that a copy has not claimed yet never had one.
    const wasLive = this.#position !== null && (this.#marks.furthest(this.#position)?.offset ?? 0) > 0;
    return missing > 0 && wasLive ? `the marks of ${missing} of the lane's slots` : null;
  }

  get unjudged(): UnjudgedSpan | null {
    return this.#unjudged;
  }

  async judge(runs: readonly UnitRun[] | null): Promise<void> {
    if (this.#position !== null) await this.#repairs.judge(runs, this.#options.slots, this.#position);
    this.#unjudged = null;
  }

  async applyChanges(group: ChangeGroup): Promise<number> {
    if (this.#unjudged !== null) throw new Error("what nobody judged comes before anything else");
    const { target } = group;
    let bytes = 0;
    for (let failures: readonly GroupFailure[] | null = null; failures === null || failures.length > 0;) {
      const loose: (readonly Buffer[])[] = [];
      const groups = await this.#plan(group, loose);
      if (failures === null) await runEverywhere(this.name, this.#pool, this.#sender.map.nodes, loose);
      failures = await this.#send(groups.close(target));
      bytes += groups.bytes;
      if (failures.length > 0) await this.#repairs.settle(failures, target);
    }
    this.#position = target;
    if (this.#repairs.hasPending) await this.#repairs.tidy(target.offset);
    const idle = bytes === 0;
    if (this.#options.clock.monotonicMs() - this.#markedAtMs >= (idle ? IDLE_WATERMARK_MS : WATERMARK_MS))
      await this.#raiseWatermarks(target);
    return bytes;
  }

  async follow(history: LaneHistory): Promise<void> {
    if (this.#repairs.hasPending && this.#position !== null) await this.#repairs.follow([history], this.#position);
  }

  async confirm(): Promise<void> {
    await this.#watermarks.confirm(this.#sender);
    const target = this.#position;
    if (target?.phase !== "live" || this.#marks.hasWatermarkAbove(target)) return;
    // Behind the last message no other comes that would raise them: a lane that stands still says how far it is all the same.
    const isBehind = this.#safeSequence < target.sequence;
    if (isBehind || this.#watermarks.isOneLacking(this.#sender)) await this.#raiseWatermarks(target);
  }

  async isEmpty(): Promise<boolean> {
    const before = await this.#keys.look(this.#sender.map);
    const held = await Promise.all([...this.#options.slots].map(async (slot) => this.#keys.of(slot, before)));
    if (held.some((keys) => keys.length > 0)) return false;
    await this.#sender.refresh();
    return this.#keys.changed(before, await this.#keys.look(this.#sender.map)).length === 0;
  }

  async claim(target: Position): Promise<void> {
    await this.#kept?.takeDown(this.#sender, this.#keys);
    const next = formatMark(target);
    const groups: SlotGroup[] = [];
    for (const slot of this.#options.slots) {
      const position = this.#marks.positionOf(slot);
      if (position !== null && compareHistories(position, target) >= 0) continue;
      const group = new SlotGroup(slot, slotMark(this.#options, slot), this.#marks.textOf(slot), next);
      this.#repairs.forget(group);
      this.#kept?.addTo(group);
      groups.push(group);
    }
    await this.#sendWhole(groups);
    await this.#kept?.claimed();
    for (const { slot } of groups) this.#marks.moved(slot, next, target);
    this.#marks.follow(target);
    this.#position = target;
    this.#unjudged = null;
  }

  async applyValues(values: readonly SnapshotValue[]): Promise<number> {
    return this.#values.apply(values);
  }

  async build(value: PartedValue): Promise<ValueBuild | null> {
    return this.#values.build(value);
  }

  async sweep(held: Pick<KeySet, "has">): Promise<number> {
    let swept = 0;
    let found = await this.#keys.look(this.#sender.map);
    for (let slots: readonly number[] = [...this.#options.slots]; slots.length > 0;) {
      for (const slot of slots) {
        const standing = this.#copyingMark(slot);
        if (standing !== null) swept += await this.#sweepSlot(slot, await this.#keys.of(slot, found), standing, held);
      }
      await this.#sender.refresh();
      const before = found;
      found = await this.#keys.look(this.#sender.map);
      slots = this.#keys.changed(before, found);
    }
    return swept;
  }

  async goLive(target: Position): Promise<void> {
    if (this.#marks.hasWatermarkAbove(target)) await this.#raiseAll(target);
    const next = formatMark(target);
    const groups: SlotGroup[] = [];
    for (const slot of this.#options.slots) {
      if (this.#copyingMark(slot) === null) continue;
      groups.push(new SlotGroup(slot, slotMark(this.#options, slot), this.#marks.textOf(slot), next));
    }
    await this.#sendWhole(groups);
    for (const { slot } of groups) this.#marks.moved(slot, next, target);
    this.#marks.follow(target);
    this.#position = target;
    await this.#raiseAll(target);
  }

  close(): void {
    this.#pool.close();
  }

  /** What of the group its slots do not hold yet. `loose` gets what belongs to no slot, in order. */
  async #plan({ slices, target }: ChangeGroup, loose: (readonly Buffer[])[]): Promise<GroupBook> {
    if (this.#repairs.hasPending)
      await this.#repairs.follow(
        slices.map(({ batch }) => batch),
        target,
      );
    const groups = new GroupBook(this.#options, this.#marks);
    const around: OpenUnit[] | null = this.#repairs.hasPending ? [] : null;
    for (const { slice, batch } of slices) {
      this.#planner.each(
        slice,
        (unit) => {
          // A slot that the shard gave away meanwhile: a later history, with a copy of its own, has it.
          if (!this.#options.slots.has(unit.slot)) return;
          // A unit in parts has no distance: it ends where its last part does.
          const end = batch.part === null ? batch.previous + unit.end : batch.last;
          if (end <= this.#marks.appliedIn(unit.slot)) return;
          if (around === null) groups.add(unit, end);
          else around.push({ unit, end });
        },
        (args) => loose.push(args),
      );
    }
    if (around !== null) await this.#repairs.addAround(around, groups, target);
    return groups;
  }

  /** The mark of a slot that the lane's running copy has claimed and not finished; null for any other. */
  #copyingMark(slot: number): Position | null {
    const position = this.#marks.positionOf(slot);
    const isOwn = position !== null && this.#position !== null && compareHistories(position, this.#position) === 0;
    return isOwn && position.phase === "snap" ? position : null;
  }

  async #sweepSlot(slot: number, keys: readonly Buffer[], standing: Position, held: Pick<KeySet, "has">): Promise<number> {
    const stale = keys.filter((key) => !held.has(0, key));
    for (let at = 0; at < stale.length; at += SWEEP_KEYS) {
      const some = stale.slice(at, at + SWEEP_KEYS);
      const groups = new GroupBook(this.#options, this.#marks);
      const unit = { slot, end: 0, commands: [groupCommand(encodeCommand(["DEL", ...some]))], keys: some };
      groups.add({ ...unit, emptied: [], isDelicate: false }, standing.offset);
      await this.#sendWhole(groups.close(standing));
    }
    return stale.length;
  }

  /** Says on every node that the whole lane is applied up to `target`; a restart need not go back beyond it. */
  async #raiseWatermarks(target: Position): Promise<boolean> {
    const isRaised = await this.#watermarks.raise(target, this.#sender);
    if (isRaised) this.#safeSequence = target.sequence;
    this.#markedAtMs = this.#options.clock.monotonicMs() - (isRaised ? 0 : WATERMARK_MS - IDLE_WATERMARK_MS);
    return isRaised;
  }

  /** As `#raiseWatermarks`, until all of them are. Throws `Retryable` DST-003 when that takes too long. */
  async #raiseAll(target: Position): Promise<void> {
    const { clock, group, signal } = this.#options;
    const startedAtMs = clock.monotonicMs();
    while (!(await this.#raiseWatermarks(target))) {
      if (clock.monotonicMs() - startedAtMs > RAISE_PATIENCE_MS)
        throw new Retryable("DST-003", `destination ${group}`, `a node of ${group} does not take the lane's watermark`);
      await clock.sleep(RAISE_PAUSE_MS, signal);
    }
  }

  /** Throws `Halt` DST-004 or DST-007 where anything fails: nothing of a copy may. */
  async #sendWhole(groups: readonly SlotGroup[]): Promise<void> {
    const [failure] = await this.#send(groups);
    if (failure !== undefined) throw failedBehindMark(this.name, failure);
  }

  /** What failed; see `GroupSender.send`. */
  async #send(groups: readonly SlotGroup[]): Promise<GroupFailure[]> {
    try {
      return await this.#sender.send(groups);
    } catch (cause) {
      throw staleMarkOf(this.name, cause);
    }
  }
}

async function abilitiesOf(group: string, pool: NodePool, node: ClusterNode): Promise<Abilities> {
  const server = readServer(await pool.call(node, ["INFO", "server"]));
  const connection = await pool.connection(node);
  return readAbilities(server, async (args) => connection.call(args)).catch((cause: unknown) => {
    throw destinationFault(`${group} (${node.name})`, cause);
  });
}
