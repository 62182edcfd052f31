import type { PipelineStatus } from "@sluice/wire";
import { BAR_WIDTH } from "./bar.ts";
import { copyBar, copyBars } from "./copy-bars.ts";
import { fractionOf, pipelineFigures, rangeOf, shardCopies, type PipelineFigures } from "./pipeline-figures.ts";
import { printable } from "./printable.ts";
import { rateLines } from "./progress-table.ts";
import { formatBytes, formatCount, formatSeconds } from "./quantity.ts";
import { RateMeter } from "./rate-meter.ts";
import { waitingLines } from "./waiting.ts";

/** Where lines are printed one below the other, a copy is shown at every such part of it. */
const COPY_PARTS = 4;

/** What a `Screen` shows. */
export interface LiveFrame {
  /** Says what the lines are about: it changes where they are worth to be seen at once. */
  readonly heading: string;
  readonly lines: readonly string[];
}

/** The lines that follow a running pipeline: a bar for each shard while it is copied, then rates and lag over all lanes. */
export class LiveView {
  readonly #commands = new RateMeter();
  readonly #keys = new RateMeter();
  readonly #shardKeys = new Map<string, RateMeter>();
  readonly #barWidth: number;

  /** `barWidth`: 0 for no bars. */
  constructor(barWidth = BAR_WIDTH) {
    this.#barWidth = barWidth;
  }

  /** `atMs`: when the status was fetched, on a clock that never goes back. `nowMs`: wall clock, for how long it waits. */
  render(status: PipelineStatus, atMs: number, nowMs: number): LiveFrame {
    const { state, reason } = status;
    const figures = pipelineFigures(status);
    this.#commands.add(atMs, figures.commands);
    this.#keys.add(atMs, figures.keys);
    for (const { id, keys } of shardCopies(status)) this.#meterOf(id).add(atMs, keys);
    const [first, ...others] = waitingLines(status, nowMs);
    if (first !== undefined && state !== "failed") {
      const isSending = status.shards.some(({ phase }) => phase === "copying");
      const rest = isSending ? this.#bars(status) : rateLines(status.groups);
      return { heading: "waiting", lines: [`${state} · ${first}`, ...others.map((line) => `  ${line}`), ...rest] };
    }
    switch (state) {
      case "copying":
        return this.#copying(status, figures);
      case "catching-up":
      case "synchronizing":
        return { heading: state, lines: [this.#following(status, figures), ...rateLines(status.groups)] };
      case "created":
      case "prechecking":
      case "blocked":
      case "ready":
      case "paused":
      case "retrying":
      case "failed":
      case "stopped":
      case "cutting-over":
      case "cut-over":
        return { heading: state, lines: [reason === "" ? state : `${state} · ${printable(reason)}`] };
    }
  }

  #copying(status: PipelineStatus, figures: PipelineFigures): LiveFrame {
    const { keys, expectedKeys, copyBytes: bytes, expectedCopyBytes: expectedBytes } = figures;
    const fraction = fractionOf(keys, expectedKeys, bytes, expectedBytes);
    if (fraction === null) return { heading: "copying", lines: ["copying · the source has not begun to send"] };
    const whole = copyBar({ keys, expectedKeys, bytes, expectedBytes, fraction, isDone: false }, this.#barWidth);
    const rate = `${formatCount(this.#keys.perSecond)} keys/s`;
    return {
      heading: `copying, part ${Math.floor(fraction * COPY_PARTS)}`,
      lines: [`copying ${whole} · ${rate}`, ...this.#bars(status)],
    };
  }

  #bars(status: PipelineStatus): string[] {
    const copies = shardCopies(status);
    return copies.length < 2
      ? []
      : copyBars(copies, (id) => ` · ${formatCount(this.#meterOf(id).perSecond)} keys/s`, this.#barWidth);
  }

  #following(status: PipelineStatus, figures: PipelineFigures): string {
    const { lagBytes, lagSeconds } = figures;
    const live = status.lanes.filter(({ phase }) => phase === "live");
    const lag = [
      lagBytes === null ? null : formatBytes(lagBytes),
      lagSeconds === null ? null : formatSeconds(lagSeconds),
    ].filter((part) => part !== null);
    const parts = [status.state, `${formatCount(this.#commands.perSecond)} commands/s`];
    const among = live.length > 1 ? ` at most in ${live.length} lanes` : "";
    if (lag.length > 0) parts.push(`lag ${lag.join(", ")}${among}`);
    // Offsets of different shards have nothing to do with each other.
    const applied = status.shards.length === 1 ? rangeOf(live.map((lane) => lane.appliedOffset)) : null;
    if (applied !== null) parts.push(`applied ${formatCount(applied.least)}`);
    parts.push(`stream ${formatBytes(status.stream.bytes)}`);
    return parts.join(" · ");
  }

  #meterOf(shard: string): RateMeter {
    const known = this.#shardKeys.get(shard) ?? new RateMeter();
    this.#shardKeys.set(shard, known);
    return known;
  }
}
