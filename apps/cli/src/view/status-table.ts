import type { PipelineList, PipelineStatus } from "@sluice/wire";
import { haltOf, laneName, retryOf } from "./live-line.ts";
import { printable } from "./printable.ts";
import { formatBytes, formatCount, formatSeconds } from "./quantity.ts";
import { table } from "./table.ts";

/** The pipelines and their states. */
export function listTable({ pipelines }: PipelineList): string {
  if (pipelines.length === 0) return "no pipelines";
  return table([["PIPELINE", "STATE"], ...pipelines.map(({ name, state }) => [name, state])]);
}

/** Everything of one pipeline that an operator looks for, in lines of at most about 110 characters. */
export function statusTable(status: PipelineStatus, nowMs: number): string {
  const { name, state, desired, since, reason, stream } = status;
  const wanted = desired === "stopped" && state !== "stopped" ? " (is to stop)" : "";
  const why = reason === "" ? "" : `: ${printable(reason)}`;
  const parts = [
    `${name}  ${state}${wanted} since ${formatSeconds(Math.max(0, nowMs - since) / 1000)}${why}`,
    `stream ${formatCount(stream.messages)} messages, ${formatBytes(stream.bytes)}`,
    shardTable(status),
    laneTable(status),
  ];
  const retry = retryOf(status);
  if (retry !== null) {
    parts.push(
      `waits for ${printable(retry.endpoint)} since ${formatSeconds(Math.max(0, nowMs - retry.since) / 1000)}: ${printable(retry.reason)}`,
    );
  }
  const halt = haltOf(status);
  if (halt !== null)
    parts.push(`${halt.where} stopped with ${halt.code}: ${printable(halt.message)}\n${printable(halt.remedy)}`);
  return parts.filter((part) => part !== "").join("\n\n");
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
