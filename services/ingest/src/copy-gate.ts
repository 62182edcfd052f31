import { Halt, type Clock } from "@sluice/runtime";
import { untilWindowMs, type Pipeline, type RetryRecord, type StartWindow } from "@sluice/wire";

/** The window is looked at again after this time at the latest: clocks are set, and nights change their length. */
const LOOK_AGAIN_MS = 60_000;

/** What a pipeline says of when a full copy may begin. */
export type CopyRules = Pick<Pipeline, "onBacklogLost"> & {
  readonly startWindow?: Pipeline["startWindow"];
  /** Default full+changes. */
  readonly mode?: Pipeline["mode"];
};

/**
 * Lets a shard begin a full copy, or not: not at any time of the day, not where an operator wants to decide, and never in a pipeline of
 * changes alone. A source that begins to send a copy unasked has forked already: only the operator's decision counts then.
 */
export class CopyGate {
  readonly #rules: CopyRules;
  readonly #clock: Clock;

  constructor(rules: CopyRules, clock: Clock) {
    this.#rules = rules;
    this.#clock = clock;
  }

  /** No shard of the pipeline is ever copied: it is attached to. */
  get isCopyless(): boolean {
    return this.#rules.mode === "changes";
  }

  /** The source can't continue what is stored. Throws `Halt` SRC-016 or SRC-019 where the pipeline does not want a copy in its place. */
  checkLost(shard: string, why: string): void {
    if (this.isCopyless) throw new Halt("SRC-019", `shard ${shard} can't be continued, and is not copied: ${why}`);
    if (this.#rules.onBacklogLost === "halt") throw new Halt("SRC-016", `shard ${shard} can't be continued: ${why}`);
  }

  /** Whether a full copy may start now. */
  get isInWindow(): boolean {
    const { startWindow } = this.#rules;
    return startWindow === undefined || untilWindowMs(startWindow, this.#clock.nowMs()) === 0;
  }

  /** Resolves inside the window, or when `signal` aborts. `tell` is called with what is waited for, before it waits. */
  async inWindow(shard: string, signal: AbortSignal, tell: (retry: RetryRecord) => void): Promise<void> {
    const { startWindow } = this.#rules;
    if (startWindow === undefined) return;
    const since = this.#clock.nowMs();
    for (let isTold = false; !signal.aborted; isTold = true) {
      const waitMs = untilWindowMs(startWindow, this.#clock.nowMs());
      if (waitMs === 0) return;
      const reason = `a full copy may start only at ${told(startWindow)}`;
      if (!isTold) tell({ endpoint: `source ${shard}`, since, reason, isTurn: true });
      await this.#clock.sleep(Math.min(waitMs, LOOK_AGAIN_MS), signal);
    }
  }
}

function told({ fromMinute, toMinute, zone }: StartWindow): string {
  return `${timeOf(fromMinute)}-${timeOf(toMinute)} ${zone}`;
}

function timeOf(minute: number): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${two(Math.floor(minute / 60))}:${two(minute % 60)}`;
}
