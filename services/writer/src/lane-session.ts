import type { LaneStream } from "@sluice/bus";
import type { Clock, Logger } from "@sluice/runtime";
import type { DestinationSpec, Position } from "@sluice/wire";
import { StaleMark } from "./apply/standalone-destination.ts";
import type { Keeping } from "./keep/keeping.ts";
import type { ChangeGroup, LaneDestination, SnapshotValue, ValueBuild } from "./lane-destination.ts";
import type { LaneReport } from "./lane-report.ts";
import type { AppliedHistory } from "./progress/applied-history.ts";
import { turn } from "./progress/turn.ts";
import type { Projection } from "./project/projection.ts";
import type { Rewriting } from "./rewrite/rewriting.ts";

/**
 * So often a lane asks its destination whether it still holds what the lane left there. A write would show it, too, but an idle
 * source brings none, and a busy one none to a node of the destination that serves quiet slots only.
 */
const CONFIRM_MS = 2_000;

export interface LaneSessionOptions {
  readonly pipeline: string;
  readonly shard: string;
  readonly lane: number;
  readonly label: string;
  readonly existing: DestinationSpec["existing"];
  /** What the group gets; everything where absent. */
  readonly projection?: Projection;
  /** Makes what the destination takes of what the projection leaves. */
  readonly rewriting?: Rewriting;
  /** With `existing: keep`; the projection knows of it. */
  readonly keeping?: Keeping;
  readonly stream: LaneStream;
  readonly report: LaneReport;
  readonly clock: Clock;
  readonly log: Logger;
  /** What was applied of which history, kept beyond this session. */
  readonly applied: AppliedHistory;
  /** No record says that the lane ever stood anywhere in this destination. */
  readonly isFirst: boolean;
  /** Of the shard: above 0 once an epoch was given up, or its slots changed hands. */
  readonly floor: number;
  readonly signal: AbortSignal;
  readonly progress: () => void;
  /** Waits until nothing of an earlier history can be applied any more, where that is not for this lane's own marks to ensure. */
  readonly claimed: () => Promise<void>;
}

/** What both phases of a lane share while it is open in a destination: its steps, each with its report. */
export class LaneSession {
  readonly options: LaneSessionOptions;
  readonly destination: LaneDestination;
  #confirmedAtMs: number;
  #alarm: Promise<undefined> | null = null;

  constructor(destination: LaneDestination, options: LaneSessionOptions) {
    this.destination = destination;
    this.options = options;
    this.#confirmedAtMs = options.clock.monotonicMs();
  }

  get label(): string {
    return this.options.label;
  }

  /** See `LaneDestination.position`. */
  get position(): Position | null {
    return this.destination.position;
  }

  async applyChanges(group: ChangeGroup, units: number): Promise<void> {
    await this.#step(() => this.destination.applyChanges(group), units);
    for (const { batch } of group.slices) this.options.applied.took(batch);
  }

  /** Waits for `waited` while nothing is applied, and lets the destination confirm what it holds whenever that is due. */
  async confirming<T extends object | null>(waited: Promise<T>): Promise<T> {
    // It may fail long after a confirmation did.
    waited.catch(() => undefined);
    for (;;) {
      const first = await Promise.race([waited, this.#due()]);
      if (first !== undefined) return first;
      await this.confirmIfDue();
    }
  }

  /** To be called between two steps. Throws what `LaneDestination.confirm` does. */
  async confirmIfDue(): Promise<void> {
    const { clock, signal } = this.options;
    if (signal.aborted || clock.monotonicMs() - this.#confirmedAtMs < CONFIRM_MS) return;
    try {
      await this.destination.confirm();
    } catch (cause) {
      if (cause instanceof StaleMark) this.options.report.stale();
      throw cause;
    }
    this.options.report.standsAt(this.destination);
    this.#confirmedAtMs = clock.monotonicMs();
  }

  /** Resolves when a confirmation is due; never once the session is over. One timer serves all who wait. */
  async #due(): Promise<undefined> {
    const { clock, signal } = this.options;
    const leftMs = Math.max(1, this.#confirmedAtMs + CONFIRM_MS - clock.monotonicMs());
    this.#alarm ??= clock.sleep(leftMs, signal).then(async () => {
      this.#alarm = null;
      return signal.aborted ? new Promise<undefined>(() => undefined) : undefined;
    });
    return this.#alarm;
  }

  async claim(target: Position, isClean: boolean): Promise<void> {
    await this.#step(() => this.destination.claim(target, isClean), 0);
    this.tellKept();
    this.options.applied.begins(target.epoch);
    await this.options.claimed();
  }

  /** How many keys are kept, once that is known. */
  tellKept(): void {
    const { keeping, report } = this.options;
    if (keeping !== undefined && this.position !== null) report.keeps(keeping.kept.size);
  }

  async applyValues(values: readonly SnapshotValue[], target: Position): Promise<void> {
    await this.#step(() => this.destination.applyValues(values, target), values.length);
    this.options.report.copied(target.offset);
  }

  /** Finishes an entry that came in parts. */
  async applyBuilt(build: ValueBuild, target: Position): Promise<void> {
    await this.#step(() => build.finish(target), 1);
    this.options.report.copied(target.offset);
  }

  async goLive(target: Position): Promise<void> {
    await this.#step(() => this.destination.goLive(target), 0);
  }

  async #step(step: () => Promise<number | void>, units: number): Promise<void> {
    const { report, progress } = this.options;
    await turn();
    try {
      const bytes = await step();
      report.applied(units, bytes ?? 0);
    } catch (cause) {
      if (cause instanceof StaleMark) report.stale();
      throw cause;
    } finally {
      report.standsAt(this.destination);
    }
    progress();
  }
}
