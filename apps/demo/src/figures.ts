import { formatBytes, formatCount, formatMs, formatSeconds, table } from "@sluice/cli";

/** What the demo has measured. */
export interface Figures {
  readonly copiedKeys: number;
  readonly copySeconds: number;
  readonly commands: number;
  readonly loadSeconds: number;
  readonly delayMs: number | null;
  readonly probes: number;
  readonly peakLagSeconds: number;
  readonly peakLagBytes: number;
  readonly killed: string;
  /** How many lanes it had, of how many. */
  readonly killedLanes: number;
  readonly lanes: number;
  /** How long until changes written after the kill, one in every lane, were in the destination. */
  readonly recoverySeconds: number;
  /** Who applies its lanes since. */
  readonly successor: string;
  readonly drainMs: number;
  readonly streamBytes: number;
  readonly comparedKeys: number;
  readonly compareSeconds: number;
  readonly counters: number;
}

/** The figures as a table of two columns. */
export function figuresTable(figures: Figures): string {
  const { copiedKeys, copySeconds, commands, loadSeconds, delayMs, probes, killed, successor } = figures;
  return table([
    [
      "copied",
      `${formatCount(copiedKeys)} keys in ${formatSeconds(copySeconds)} (${formatCount(copiedKeys / copySeconds)} keys/s)`,
    ],
    [
      "changes",
      `${formatCount(commands)} commands in ${formatSeconds(loadSeconds)} (${formatCount(commands / loadSeconds)} commands/s)`,
    ],
    ["delay", delayMs === null ? "not measured" : `${formatMs(delayMs)} from source to destination (median of ${probes})`],
    ["peak lag", `${formatSeconds(figures.peakLagSeconds)}, ${formatBytes(figures.peakLagBytes)}`],
    [
      `${killed} killed`,
      `with ${figures.killedLanes} of ${figures.lanes} lanes: changes of all arrived again after ${formatSeconds(figures.recoverySeconds)}, its own through ${successor}`,
    ],
    ["drained", `${formatMs(figures.drainMs)} after the load had stopped`],
    ["stream", formatBytes(figures.streamBytes)],
    [
      "compared",
      `${formatCount(figures.comparedKeys)} keys and ${formatCount(figures.counters)} counters in ${formatSeconds(figures.compareSeconds)}`,
    ],
  ]);
}
