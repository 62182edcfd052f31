import { setTimeout as delay } from "node:timers/promises";
import type { PipelineStatus } from "@sluice/wire";
import { ApiUnreachable, type ApiClient } from "../api/api-client.ts";
import { blockedFailure } from "../api/blocked-failure.ts";
import { failure } from "../api/wait-for.ts";
import { BAR_WIDTH } from "../view/bar.ts";
import { LiveView } from "../view/live-view.ts";
import { NewEvents } from "../view/new-events.ts";
import { haltOf, pipelineFigures } from "../view/pipeline-figures.ts";
import { formatBytes, formatCount, formatSeconds } from "../view/quantity.ts";
import type { Screen } from "../view/screen.ts";

const POLL_MS = 500;
/** What an earlier run failed with stands in the records until the services have started: it counts only after so long. */
const OLD_FAILURE_MS = 15_000;
/** The services get so long to stop a pipeline: the coordinator itself waits for lanes that don't come along for 15 s. */
const STOP_LIMIT_MS = 20_000;

/** `startedAt` and the time of a halt are read from this machine's clock, where every process of a run is. */
function hasFailed(status: PipelineStatus, startedAt: number): boolean {
  if (status.state === "blocked") return status.since >= startedAt || Date.now() - startedAt > OLD_FAILURE_MS;
  if (status.state !== "failed") return false;
  const halt = haltOf(status);
  return halt === null || halt.at >= startedAt || Date.now() - startedAt > OLD_FAILURE_MS;
}

/** The status, or null while the API does not answer: its process is being started again. */
async function statusOrNull(api: ApiClient, pipeline: string): Promise<PipelineStatus | null> {
  try {
    return await api.status(pipeline);
  } catch (cause) {
    if (cause instanceof ApiUnreachable) return null;
    throw cause;
  }
}

/**
 * Shows a running pipeline until `signal` aborts, or until somebody has stopped it. Throws `OperatorError` with code, message
 * and remedy when it fails.
 */
export async function follow(
  api: ApiClient,
  pipeline: string,
  screen: Screen,
  signal: AbortSignal,
): Promise<"stopped" | "interrupted"> {
  const view = new LiveView(screen.isTerminal ? BAR_WIDTH : 0);
  const startedAt = Date.now();
  const news = new NewEvents(startedAt);
  let copyingSinceMs: number | null = null;
  while (!signal.aborted) {
    const status = await statusOrNull(api, pipeline);
    const atMs = performance.now();
    if (status === null) screen.update("unreachable", "the coordinator does not answer");
    else {
      if (hasFailed(status, startedAt)) throw status.state === "blocked" ? await blockedFailure(api, status) : failure(status);
      if (status.state === "stopped" && status.desired === "stopped") return "stopped";
      if (status.state === "copying") copyingSinceMs ??= atMs;
      else if (copyingSinceMs !== null && (status.state === "catching-up" || status.state === "synchronizing")) {
        const { keys, copyBytes } = pipelineFigures(status);
        screen.print(
          `copied ${formatCount(keys)} keys, ${formatBytes(copyBytes)}, in ${formatSeconds((atMs - copyingSinceMs) / 1000)}`,
        );
        copyingSinceMs = null;
      }
      for (const event of news.take(status)) screen.print(event);
      const { heading, lines } = view.render(status, atMs, Date.now());
      screen.update(heading, ...lines);
    }
    await delay(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
  return "interrupted";
}

/** Asks a pipeline to stop, which applies what is stored, and waits for it. Returns what to tell the operator. */
export async function drain(api: ApiClient, pipeline: string, screen: Screen): Promise<string> {
  const deadlineMs = performance.now() + STOP_LIMIT_MS;
  let isAsked = false;
  let last: PipelineStatus | null = null;
  while (performance.now() < deadlineMs) {
    try {
      if (!isAsked) await api.stop(pipeline);
      isAsked = true;
      last = await api.status(pipeline);
      if (last.state === "stopped" || last.desired === "cut-over") break;
      screen.update("stopping", `stopping · ${unapplied(last)}`);
    } catch (cause) {
      if (!(cause instanceof ApiUnreachable)) throw cause;
    }
    await delay(POLL_MS / 2);
  }
  if (last?.desired === "cut-over") {
    return last.state === "cut-over" ? "the cut-over is done" : "the cut-over goes on at the next start, where it is now";
  }
  if (last === null) return "stopped without having heard from the coordinator; nothing is lost";
  return last.state === "stopped"
    ? `stopped · ${unapplied(last)}`
    : `not drained in ${STOP_LIMIT_MS / 1000} s · ${unapplied(last)}`;
}

/** How much of what is stored the destinations do not hold yet. */
function unapplied(status: PipelineStatus): string {
  const stored = new Map(status.shards.map((shard) => [shard.id, shard.storedOffset]));
  if (status.lanes.some((lane) => lane.phase === "snap"))
    return "the copy is not complete; it goes on or is made anew at the next start";
  const bytes = Math.max(0, ...status.lanes.map((lane) => (stored.get(lane.shard) ?? 0) - lane.appliedOffset));
  return bytes === 0
    ? "everything that is stored is applied"
    : `${formatBytes(bytes)} are stored and not applied yet; the next start applies them`;
}
