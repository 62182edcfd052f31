import { Halt, printable } from "@sluice/runtime";
import { BatchKind, ChangeRows, type Batch, type Position } from "@sluice/wire";
import { ChangePlanner, type ChangeSlice } from "./apply/plan-changes.ts";
import { GroupRefused } from "./apply/standalone-destination.ts";
import type { LaneSession } from "./lane-session.ts";
import { LaneChain } from "./progress/lane-chain.ts";
import type { LaneLog, LoggedBatch } from "./progress/lane-log.ts";
import { PartAssembly } from "./progress/part-assembly.ts";

/** One transaction takes what is ready, up to these bounds: large enough that its own cost vanishes, small enough not to hold up the server. */
const GROUP_BYTES = 1024 * 1024;
const GROUP_COMMANDS = 16_384;

/** Batches that are applied in one transaction, and where that leads. */
interface Group {
  readonly planner: ChangePlanner;
  readonly slices: { slice: ChangeSlice; batch: Batch; before: Position }[];
  target: Position;
}

/**
 * Applies the changes of a lane: reads as many batches as are ready, makes one transaction of their units and the mark, and
 * goes on when it is answered. Ends at the fence of a new epoch, whose full copy comes first.
 */
export class LivePhase {
  readonly #session: LaneSession;
  readonly #log: LaneLog;
  readonly #chain: LaneChain;
  readonly #parts = new PartAssembly();

  /** `abandoned`: the epoch whose copy was given up for a newer one; everything up to the fence of that one is void. */
  constructor(session: LaneSession, log: LaneLog, abandoned: number | null = null) {
    this.#session = session;
    this.#log = log;
    this.#chain = new LaneChain(startOf(session.position, abandoned));
  }

  /** The fence of the next epoch, or null when the log was closed. */
  async run(): Promise<LoggedBatch | null> {
    for (;;) {
      const first = await this.#log.next();
      if (first === null) return null;
      const { group, fence } = this.#collect(first);
      if (group !== null) await this.#apply(group);
      if (fence !== null) return fence;
    }
  }

  #collect(first: LoggedBatch): { group: Group | null; fence: LoggedBatch | null } {
    let group: Group | null = null;
    for (let next: LoggedBatch | undefined = first; next !== undefined; next = this.#log.nextIfReady()) {
      const { batch, sequence } = next;
      if (batch.kind === BatchKind.fence) this.#parts.clear();
      const step = this.#chain.next(batch);
      if (step.kind === "newEpoch") return { group, fence: next };
      if (step.kind === "gap") throw this.#gap(step.expected, step.found, sequence);
      if (step.kind === "skip") continue;
      const slice = this.#sliceOf(batch);
      if (slice === null) continue;
      group = this.#join(group, slice, batch, sequence);
      if (group.planner.bytes >= GROUP_BYTES || group.planner.commands >= GROUP_COMMANDS) break;
    }
    return { group, fence: null };
  }

  #join(open: Group | null, slice: ChangeSlice, batch: Batch, sequence: number): Group {
    const before = open?.target ?? this.#standing;
    const target: Position = { ...before, offset: batch.last, sequence };
    const group = open ?? { planner: this.#newPlanner(), slices: [], target };
    group.planner.add(slice);
    group.slices.push({ slice, batch, before });
    group.target = target;
    this.#chain.advance(batch.last);
    return group;
  }

  /** What of the batch is not applied yet; null while a unit in parts is not complete. */
  #sliceOf(batch: Batch): ChangeSlice | null {
    if (batch.part === null) {
      const rows = batch.rows instanceof ChangeRows ? batch.rows : new ChangeRows(0);
      return { rows, body: batch.body, from: firstAbove(rows, this.#chain.offset - batch.previous) };
    }
    const parts = this.#parts.add(batch);
    if (parts === null) {
      if (batch.part.final) throw new Halt("BUS-003", `unit ${batch.part.id} of lane ${this.#session.label} lacks parts before its last one`);
      return null;
    }
    return joinParts(parts);
  }

  async #apply(group: Group): Promise<void> {
    const plan = group.planner.finish();
    try {
      await this.#session.apply(plan.request, group.target, plan.units);
    } catch (cause) {
      if (!(cause instanceof GroupRefused)) throw cause;
      await this.#applyUnitByUnit(group, cause);
    }
  }

  /**
   * Something in the group can't be run. All that precedes it is applied, each unit by itself, so that the lane halts exactly at
   * the unit at fault and can go on from there.
   */
  async #applyUnitByUnit(group: Group, refusal: GroupRefused): Promise<never> {
    for (const { slice, batch, before } of group.slices) {
      for (let from = slice.from; from < slice.rows.count; ) {
        const until = endOfUnit(slice.rows, from);
        const planner = this.#newPlanner();
        planner.add({ ...slice, from }, until);
        const plan = planner.finish();
        const isWholeBatch = until === slice.rows.count;
        const end = isWholeBatch ? batch.last : batch.previous + (slice.rows.ends[from] as number);
        try {
          await this.#session.apply(plan.request, { ...before, offset: end }, plan.units);
        } catch (cause) {
          if (!(cause instanceof GroupRefused)) throw cause;
          throw this.#refused(cause, end);
        }
        from = until;
      }
    }
    throw this.#refused(refusal, group.target.offset);
  }

  #refused(refusal: GroupRefused, end: number): Halt {
    const { destination, label } = this.#session;
    return new Halt("DST-002", `${destination} refuses the unit of lane ${label} that ends at offset ${end}: ${printable(refusal.error)}`);
  }

  #gap(expected: number, found: number, sequence: number): Halt {
    const { label } = this.#session;
    return new Halt("BUS-003", `lane ${label} stands at offset ${expected}, and message ${sequence} continues from ${found}`);
  }

  #newPlanner(): ChangePlanner {
    return new ChangePlanner({ shift: this.#session.shift, markKey: this.#session.markKey });
  }

  get #standing(): Position {
    const { position } = this.#session;
    if (position === null) throw new Error("changes are applied only behind a mark");
    return position;
  }
}

/**
 * Where the chain begins. A lane that is not live has applied none of the changes of its epoch, and none may be applied before
 * its copy: only the fence with which its copy's epoch begins, or a later one, counts.
 */
function startOf(position: Position | null, abandoned: number | null): { epoch: number; offset: number } {
  if (abandoned !== null) return { epoch: abandoned, offset: Infinity };
  if (position === null) return { epoch: 0, offset: 0 };
  return position.phase === "live" ? position : { epoch: position.epoch - 1, offset: Infinity };
}

/** First row whose unit ends more than `distance` behind the batch's `previous`. */
function firstAbove(rows: ChangeRows, distance: number): number {
  if (distance <= 0) return 0;
  let row = 0;
  while (row < rows.count && (rows.ends[row] as number) <= distance) row++;
  return row;
}

/** The row behind the unit that begins at `from`. */
function endOfUnit(rows: ChangeRows, from: number): number {
  const end = rows.ends[from];
  let row = from + 1;
  while (row < rows.count && rows.ends[row] === end) row++;
  return row;
}

/** The unit that all its parts make up. */
function joinParts(parts: readonly Batch[]): ChangeSlice {
  const rows = new ChangeRows(1);
  for (const { rows: some } of parts) {
    if (some instanceof ChangeRows) for (let row = 0; row < some.count; row++) rows.copyRow(some, row);
  }
  return { rows, body: Buffer.concat(parts.map(({ body }) => body)), from: 0 };
}
