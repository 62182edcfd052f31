import type { DesiredState, LaneStatus, PipelineList, PipelineState, PipelineStatus } from "@sluice/wire";
import { BAR_WIDTH } from "./bar.ts";
import { copyBars } from "./copy-bars.ts";
import { haltOf, laneName, rangeOf, shardCopies, sum } from "./pipeline-figures.ts";
import { printable } from "./printable.ts";
import { progressTable } from "./progress-table.ts";
import { formatBytes, formatCount, formatSeconds } from "./quantity.ts";
import { table } from "./table.ts";
import { waitingLines } from "./waiting.ts";

const SHOWN_WRITERS = 3;
const SHOWN_EVENTS = 5;

export interface StatusTableOptions {
  /** A line for every lane too, and not only their summary. */
  readonly lanes?: boolean;
  /** Bars, for a terminal; without it percentages alone. */
  readonly bars?: boolean;
}

/** The pipelines, their states, for how long, and why. */
export function listTable({ pipelines }: PipelineList, nowMs: number): string {
  if (pipelines.length === 0) return "no pipelines";
  const rows = pipelines.map(({ name, state, desired, since, reason }) => [
    name,
    `${state}${isToStop(desired, state) ? " (is to stop)" : ""}`,
    formatSeconds(Math.max(0, nowMs - since) / 1000),
    printable(reason),
  ]);
  return table([["PIPELINE", "STATE", "SINCE", "REASON"], ...rows]);
}

/** Everything of one pipeline that an operator looks for, in lines of at most about 110 characters. */
export function statusTable(status: PipelineStatus, nowMs: number, options: StatusTableOptions = {}): string {
  const { name, state, desired, since, reason, stream } = status;
  const wanted = isToStop(desired, state) ? " (is to stop)" : "";
  const why = reason === "" ? "" : `: ${printable(reason)}`;
  const limit = stream.limitBytes === null ? "" : ` of ${formatBytes(stream.limitBytes)}`;
  const parts = [
    `${name}  ${state}${wanted} since ${formatSeconds(Math.max(0, nowMs - since) / 1000)}${why}`,
    `stream ${formatCount(stream.messages)} messages, ${formatBytes(stream.bytes)}${limit}`,
    prechecked(status, nowMs),
    settlingTable(status),
    shardTable(status),
    copying(status, options.bars ?? false),
    progressTable(status),
    summaryTable(status),
    keptLines(status),
    filteredLines(status),
    options.lanes === true ? laneTable(status) : "",
    recentEvents(status, nowMs),
  ];
  parts.push(waitingLines(status, nowMs).join("\n"));
  parts.push(status.alarms.map(({ text }) => `ALARM ${printable(text)}`).join("\n"));
  const halt = haltOf(status);
  if (halt !== null)
    parts.push(`${halt.where} stopped with ${halt.code}: ${printable(halt.message)}\n${printable(halt.remedy)}`);
  return parts.filter((part) => part !== "").join("\n\n");
}

function isToStop(desired: DesiredState, state: PipelineState): boolean {
  return desired === "stopped" && state !== "stopped";
}

/** Prechecks are worth a line as long as they are what there is to tell. */
function prechecked({ name, state, precheck }: PipelineStatus, nowMs: number): string {
  if (precheck === null || (precheck.verdict === "pass" && state !== "blocked")) return "";
  const ago = formatSeconds(Math.max(0, nowMs - precheck.at) / 1000);
  const verdict = precheck.verdict === "fail" ? "fail" : "passed with warnings";
  return `prechecks ${verdict}, ${ago} ago: \`sluice precheck ${name} --last\` shows them`;
}

function shardTable({ shards }: PipelineStatus): string {
  if (shards.length === 0) return "";
  const head = ["SHARD", "INSTANCE", "PHASE", "EPOCH", "TERM", "SOURCE AT", "STORED", "COMMANDS", "COPIED KEYS"];
  const rows = shards.map((shard) => [
    shard.id,
    shard.instance ?? "nobody",
    shard.phase,
    String(shard.epoch),
    String(shard.term),
    shard.sourceOffset === null ? "?" : formatCount(shard.sourceOffset),
    formatCount(shard.storedOffset),
    formatCount(shard.commands),
    formatCount(shard.copied.keys),
  ]);
  return table([head, ...rows], [3, 4, 5, 6, 7, 8]);
}

function copying(status: PipelineStatus, hasBars: boolean): string {
  if (status.state !== "copying" || status.shards.length === 0) return "";
  return ["COPY", ...copyBars(shardCopies(status), undefined, hasBars ? BAR_WIDTH : 0)].join("\n");
}

function settlingTable({ cutover }: PipelineStatus): string {
  const groups = Object.entries(cutover?.groups ?? {});
  if (cutover === null || cutover.phase === "cancelled" || groups.length === 0) return "";
  const rows = groups.map(([group, { isDone, looked, expected, settled, halt, retry }]) => [
    group,
    isDone ? "settled" : `${formatCount(looked)} of ${formatCount(expected)} keys`,
    formatCount(settled),
    printable(halt?.message ?? retry?.reason ?? ""),
  ]);
  return table([["CUT-OVER OF", "LOOKED AT", "SET RIGHT", ""], ...rows], [2]);
}

/** A line for the lanes of each shard in each group. */
function summaryTable({ lanes }: PipelineStatus): string {
  if (lanes.length === 0) return "";
  const parts = new Map<string, LaneStatus[]>();
  for (const lane of lanes) {
    const name = `${lane.group}.${lane.shard}`;
    parts.set(name, [...(parts.get(name) ?? []), lane]);
  }
  const head = ["LANES OF", "LANES", "LIVE", "APPLIED", "LAG MIN", "", "LAG MAX", "", "UNITS", "KEYS", "WRITERS"];
  const rows = [...parts].map(([name, own]) => {
    const bytes = rangeOf(own.map((lane) => lane.lagBytes));
    const seconds = rangeOf(own.map((lane) => lane.lagSeconds));
    return [
      name,
      String(own.length),
      String(own.filter(({ phase }) => phase === "live").length),
      formatCount(rangeOf(own.map((lane) => lane.appliedOffset))?.least ?? 0),
      bytes === null ? "?" : formatBytes(bytes.least),
      seconds === null ? "" : formatSeconds(seconds.least),
      bytes === null ? "?" : formatBytes(bytes.most),
      seconds === null ? "" : formatSeconds(seconds.most),
      formatCount(sum(own.map((lane) => lane.units))),
      formatCount(sum(own.map((lane) => lane.keys))),
      writersOf(own),
    ];
  });
  return table([head, ...rows], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

/** Groups whose destinations keep keys that were there before. */
function keptLines({ groups }: PipelineStatus): string {
  const lines = groups.flatMap(({ group, keptKeys, keptEntries, keptCommands }) => {
    if (keptKeys === null) return [];
    const passed = `${formatCount(keptEntries)} keys of the copy and ${formatCount(keptCommands)} commands`;
    return [`${group} keeps ${formatCount(keptKeys)} keys that stood there before; passed over for them: ${passed}`];
  });
  return lines.join("\n");
}

/** Groups that are spared some commands by their names. */
function filteredLines({ groups }: PipelineStatus): string {
  const lines = groups.flatMap(({ group, filteredCommands }) =>
    filteredCommands === null
      ? []
      : [`${group} was spared ${formatCount(filteredCommands)} commands that \`commands.exclude\` names`],
  );
  return lines.join("\n");
}

function writersOf(lanes: readonly LaneStatus[]): string {
  const names = [...new Set(lanes.map(({ instance }) => instance ?? "nobody"))].toSorted();
  const more = names.length - SHOWN_WRITERS;
  return more > 0 ? `${names.slice(0, SHOWN_WRITERS).join(", ")} and ${more} more` : names.join(", ");
}

function laneTable({ lanes }: PipelineStatus): string {
  if (lanes.length === 0) return "";
  const head = ["LANE", "INSTANCE", "PHASE", "EPOCH", "APPLIED", "LAG", "", "UNITS", "KEYS"];
  const rows = lanes.map((lane) => [
    laneName(lane),
    lane.instance ?? "nobody",
    lane.phase,
    String(lane.epoch),
    formatCount(lane.appliedOffset),
    lane.lagBytes === null ? "?" : formatBytes(lane.lagBytes),
    lane.lagSeconds === null ? "" : formatSeconds(lane.lagSeconds),
    formatCount(lane.units),
    formatCount(lane.keys),
  ]);
  return table([head, ...rows], [3, 4, 5, 6, 7, 8]);
}

function recentEvents({ events }: PipelineStatus, nowMs: number): string {
  if (events.length === 0) return "";
  const rows = events
    .slice(-SHOWN_EVENTS)
    .map(({ at, text }) => [`${formatSeconds(Math.max(0, nowMs - at) / 1000)} ago`, printable(text)]);
  return `EVENTS\n${table(rows)}`;
}
