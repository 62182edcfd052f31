import { BatchKind, ChangeFlag, ChangeRows, placed, type Batch, type Position } from "@sluice/wire";
import type { ChangeSlice } from "./apply/plan-changes.ts";
import { CopyNeeded } from "./copy-needed.ts";
import type { ChangeGroup } from "./lane-destination.ts";
import type { LaneSession } from "./lane-session.ts";
import { LaneChain, type KnownHistory } from "./progress/lane-chain.ts";
import type { LaneLog, LoggedBatch } from "./progress/lane-log.ts";
import { PartAssembly } from "./progress/part-assembly.ts";

/** One transaction takes what is ready, up to these bounds: large enough that its own cost vanishes, small enough not to hold up the server. */
const GROUP_BYTES = 1024 * 1024;
const GROUP_COMMANDS = 16_384;

/** `fence`: of the next epoch. `history`: in which a fence of this one lets the lane go on behind the group. */
interface Collected {
  readonly group: OpenGroup | null;
  readonly fence: LoggedBatch | null;
  readonly history: Batch | null;
}

/** A group that is being collected. */
interface OpenGroup extends ChangeGroup {
  readonly slices: { slice: ChangeSlice; batch: Batch; sequence: number }[];
  target: Position;
  bytes: number;
  commands: number;
  units: number;
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

  /**
   * `abandoned`: the epoch whose copy was given up for a newer one; everything up to the fence of that one is void.
   * `history`: what of the log is applied already, where that is to be checked.
   */
  constructor(session: LaneSession, log: LaneLog, abandoned: number | null = null, history: KnownHistory | null = null) {
    this.#session = session;
    this.#log = log;
    this.#chain = new LaneChain(startOf(session.position, abandoned), history);
  }

  /** The fence of the next epoch, or null when the log was closed. */
  async run(): Promise<LoggedBatch | null> {
    for (;;) {
      await this.#session.confirmIfDue();
      const first = this.#log.nextIfReady() ?? (await this.#session.confirming(this.#log.next()));
      if (first === null) return null;
      const { group, fence, history, failure } = this.#collected(first);
      if (group !== null) await this.#session.applyChanges(group, group.units);
      if (failure !== null) throw failure;
      if (history !== null) await this.#session.destination.follow(history);
      if (fence !== null) return fence;
    }
  }

  /** As `#collect`; what is wrong with a batch is told with the group before it, which is applied all the same. */
  #collected(first: LoggedBatch): Collected & { readonly failure: Error | null } {
    const open: { group: OpenGroup | null } = { group: null };
    try {
      return { ...this.#collect(first, open), failure: null };
    } catch (cause) {
      if (open.group === null || !(cause instanceof Error)) throw cause;
      return { group: open.group, fence: null, history: null, failure: cause };
    }
  }

  #collect(first: LoggedBatch, open: { group: OpenGroup | null }): Collected {
    for (let next: LoggedBatch | undefined = first; next !== undefined; next = this.#log.nextIfReady()) {
      const { batch, sequence } = next;
      if (batch.kind === BatchKind.fence) this.#parts.clear();
      const step = this.#chain.next(batch);
      this.#session.options.report.judged(step.kind);
      if (step.kind === "newEpoch") return { group: open.group, fence: next, history: null };
      if (step.kind === "regress") throw this.#regress(batch, step.term, sequence);
      if (step.kind === "otherHistory") throw this.#otherHistory(batch, step.upTo, sequence);
      if (step.kind === "gap") throw this.#gap(batch, step.expected, sequence);
      // A later term's, where the lane stands.
      if (batch.kind === BatchKind.fence && batch.epoch === this.#session.position?.epoch && batch.last === this.#chain.offset)
        return { group: open.group, fence: null, history: batch };
      if (step.kind === "skip") continue;
      const slice = this.#wantedOf(batch);
      if (slice === null) continue;
      const group = this.#join(open.group, slice, batch, sequence);
      open.group = group;
      if (group.bytes >= GROUP_BYTES || group.commands >= GROUP_COMMANDS) break;
    }
    return { group: open.group, fence: null, history: null };
  }

  #join(open: OpenGroup | null, slice: ChangeSlice, batch: Batch, sequence: number): OpenGroup {
    const target = placed(this.#standing, batch.last, sequence, batch.replid);
    const group = open ?? { slices: [], target, bytes: 0, commands: 0, units: 0 };
    group.slices.push({ slice, batch, sequence });
    group.target = target;
    // What the group does not get has been read all the same.
    group.bytes += Math.max(slice.body.length, batch.body.length);
    group.commands += slice.rows.count - slice.from;
    group.units += unitsFrom(slice);
    this.#chain.advance(batch.last);
    return group;
  }

  /** What of the batch is not applied yet and the group gets, in commands that its destination takes; null while a unit in parts is not complete. */
  #wantedOf(batch: Batch): ChangeSlice | null {
    const { rewriting, label } = this.#session.options;
    const slice = this.#projectedOf(batch);
    return slice === null || rewriting === undefined ? slice : rewriting.rewrite(slice, { label, batch });
  }

  #projectedOf(batch: Batch): ChangeSlice | null {
    const { projection, label } = this.#session.options;
    const slice = this.#sliceOf(batch);
    if (slice === null || projection === undefined) return slice;
    const { keptCommands, filteredCommands } = projection;
    const wanted = projection.project(slice, { label, batch });
    const { report } = this.#session.options;
    report.passedCommands(projection.keptCommands - keptCommands);
    report.filteredOut(projection.filteredCommands - filteredCommands);
    return wanted;
  }

  /** What of the batch is not applied yet; null while a unit in parts is not complete. */
  #sliceOf(batch: Batch): ChangeSlice | null {
    if (batch.part === null) {
      const rows = batch.rows instanceof ChangeRows ? batch.rows : new ChangeRows(0);
      return { rows, body: batch.body, from: firstAbove(rows, this.#chain.offset - batch.previous) };
    }
    const unit = this.#parts.add(batch);
    if (unit === null) {
      if (batch.part.final)
        throw new CopyNeeded(
          `unit ${batch.part.id} of lane ${this.#session.label} lacks parts before its last one`,
          batch.epoch,
        );
      return null;
    }
    return unit;
  }

  #regress(batch: Batch, term: number, sequence: number): CopyNeeded {
    const { label } = this.#session;
    return new CopyNeeded(`message ${sequence} of lane ${label} begins term ${batch.term} behind term ${term}`, batch.epoch);
  }

  #gap(batch: Batch, expected: number, sequence: number): CopyNeeded {
    const { label } = this.#session;
    return new CopyNeeded(
      `lane ${label} stands at offset ${expected}, and message ${sequence} continues from ${batch.previous}`,
      batch.epoch,
    );
  }

  #otherHistory(batch: Batch, upTo: number, sequence: number): CopyNeeded {
    const { label } = this.#session;
    return new CopyNeeded(
      `lane ${label} is applied up to offset ${upTo}, and message ${sequence} holds offsets below it of another history`,
      batch.epoch,
    );
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
export function firstAbove(rows: ChangeRows, distance: number): number {
  if (distance <= 0) return 0;
  let row = 0;
  while (row < rows.count && (rows.ends[row] as number) <= distance) row++;
  return row;
}

function unitsFrom({ rows, from }: ChangeSlice): number {
  let units = 0;
  for (let row = from; row < rows.count; row++) if (((rows.flags[row] as number) & ChangeFlag.last) !== 0) units++;
  return units;
}
