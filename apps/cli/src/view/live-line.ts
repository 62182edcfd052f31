import type { HaltRecord, LaneStatus, PipelineStatus, RetryRecord } from "@sluice/wire";
import { bar } from "./bar.ts";
import { printable } from "./printable.ts";
import { formatBytes, formatCount, formatSeconds } from "./quantity.ts";
import { RateMeter } from "./rate-meter.ts";

/** A pipeline's figures over all its shards and lanes. */
export interface PipelineFigures {
  /** Keys of the copy that stand in the slowest group's destination, and how many the source said it had. */
  readonly keys: number;
  readonly expectedKeys: number;
  /** Bytes of the RDB read so far, and how many are expected; 0 where unknown. */
  readonly copyBytes: number;
  readonly expectedCopyBytes: number;
  /** Commands taken from the source's stream. */
  readonly commands: number;
  /** Of the slowest lane; null before there is one. */
  readonly lagBytes: number | null;
  readonly lagSeconds: number | null;
  /** Of the lane that is furthest behind; null before there is one. */
  readonly appliedOffset: number | null;
}

export function pipelineFigures(status: PipelineStatus): PipelineFigures {
  const { shards, lanes } = status;
  const groups = new Map<string, number>();
  for (const lane of lanes) groups.set(lane.group, (groups.get(lane.group) ?? 0) + lane.keys);
  const live = lanes.filter((lane) => lane.phase === "live");
  return {
    keys: groups.size === 0 ? 0 : Math.min(...groups.values()),
    expectedKeys: sum(shards.map((shard) => shard.copied.expectedKeys)),
    copyBytes: sum(shards.map((shard) => shard.copied.bytes)),
    expectedCopyBytes: sum(shards.map((shard) => shard.copied.expectedBytes)),
    commands: sum(shards.map((shard) => shard.commands)),
    lagBytes: largest(live.map((lane) => lane.lagBytes)),
    lagSeconds: largest(live.map((lane) => lane.lagSeconds)),
    appliedOffset: live.length === 0 ? null : Math.min(...live.map((lane) => lane.appliedOffset)),
  };
}

/** What stopped a pipeline for good last, with the shard or lane it happened in; null when nothing did. */
export function haltOf(status: PipelineStatus): (HaltRecord & { readonly where: string }) | null {
  let newest: (HaltRecord & { readonly where: string }) | null = null;
  const parts = [
    ...status.shards.map(({ id, halt }) => ({ where: `source shard ${id}`, halt })),
    ...status.lanes.map((lane) => ({ where: `lane ${laneName(lane)}`, halt: lane.halt })),
  ];
  for (const { where, halt } of parts) if (halt !== null && halt.at > (newest?.at ?? -1)) newest = { ...halt, where };
  return newest;
}

/** What a pipeline waits for; null when it waits for nothing. */
export function retryOf(status: PipelineStatus): RetryRecord | null {
  for (const part of [...status.shards, ...status.lanes]) if (part.retry !== null) return part.retry;
  return null;
}

export function laneName(lane: Pick<LaneStatus, "group" | "shard" | "lane">): string {
  return `${lane.group}.${lane.shard}.${lane.lane}`;
}

/** The line that follows a running pipeline: a bar while it is copied, then rates and lag. */
export class LiveLine {
  readonly #commands = new RateMeter();
  readonly #keys = new RateMeter();

  /** `atMs`: when the status was fetched, on a clock that never goes back. `nowMs`: wall clock, for how long it waits. */
  render(status: PipelineStatus, atMs: number, nowMs: number): string {
    const figures = pipelineFigures(status);
    this.#commands.add(atMs, figures.commands);
    this.#keys.add(atMs, figures.keys);
    const retry = retryOf(status);
    if (retry !== null) return `${status.state} · ${waiting(retry, nowMs)}`;
    switch (status.state) {
      case "copying":
        return this.#copying(figures);
      case "catching-up":
      case "synchronizing":
        return this.#following(status, figures);
      case "created":
      case "retrying":
      case "failed":
      case "stopped":
        return status.reason === "" ? status.state : `${status.state} · ${printable(status.reason)}`;
    }
  }

  #copying(figures: PipelineFigures): string {
    const { keys, expectedKeys, copyBytes, expectedCopyBytes } = figures;
    if (keys === 0 && copyBytes === 0) return "copying · the source has not begun to send";
    const fraction = expectedKeys > 0 ? keys / expectedKeys : copyBytes / expectedCopyBytes;
    const parts = [`copying ${bar(fraction)}`];
    parts.push(expectedKeys > 0 ? `${formatCount(keys)} of ${formatCount(expectedKeys)} keys` : `${formatCount(keys)} keys`);
    parts.push(`${formatBytes(copyBytes)}${expectedCopyBytes > 0 ? ` of about ${formatBytes(expectedCopyBytes)}` : ""} read`);
    parts.push(`${formatCount(this.#keys.perSecond)} keys/s`);
    return parts.join(" · ");
  }

  #following(status: PipelineStatus, figures: PipelineFigures): string {
    const { lagBytes, lagSeconds, appliedOffset } = figures;
    const lag = [
      lagBytes === null ? null : formatBytes(lagBytes),
      lagSeconds === null ? null : formatSeconds(lagSeconds),
    ].filter((part) => part !== null);
    const parts = [status.state, `${formatCount(this.#commands.perSecond)} commands/s`];
    if (lag.length > 0) parts.push(`lag ${lag.join(", ")}`);
    if (appliedOffset !== null) parts.push(`applied ${formatCount(appliedOffset)}`);
    parts.push(`stream ${formatBytes(status.stream.bytes)}`);
    return parts.join(" · ");
  }
}

function waiting(retry: RetryRecord, nowMs: number): string {
  return `waits for ${printable(retry.endpoint)} since ${formatSeconds(Math.max(0, nowMs - retry.since) / 1000)}: ${printable(retry.reason)}`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function largest(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : Math.max(...known);
}
