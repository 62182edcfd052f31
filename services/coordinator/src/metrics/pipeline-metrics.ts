import type { MetricPage } from "@sluice/runtime";
import { pipelineState, type LaneStatus, type PipelineStatus, type ShardStatus } from "@sluice/wire";

/** Sets the figures of one pipeline, by what the API shows of it. */
export function collectPipeline(page: MetricPage, status: PipelineStatus): void {
  const { name: pipeline, state, shards, lanes, stream } = status;
  for (const candidate of pipelineState.options) {
    page.set("sluice_pipeline_state", { pipeline, state: candidate }, candidate === state ? 1 : 0);
  }
  page.set("sluice_pipeline_state_since_seconds", { pipeline }, status.since / 1000);
  page.set("sluice_pipeline_drained", { pipeline }, status.drained ? 1 : 0);
  const halted = [...shards, ...lanes].filter(({ halt }) => halt !== null);
  page.set("sluice_pipeline_halts", { pipeline }, halted.length);
  for (const { id } of status.alarms) page.set("sluice_pipeline_alarms", { pipeline, alarm: id }, 1);
  page.set("sluice_pipeline_copy_ratio", { pipeline }, copyRatio(status));
  page.set("sluice_pipeline_eta_seconds", { pipeline }, slowest(status.groups.map(({ etaSeconds }) => etaSeconds)));
  page.set("sluice_expiry_grace_seconds", { pipeline }, status.expiryGraceMs / 1000);
  for (const { endpoint, secondsLeft } of status.waits) {
    page.set("sluice_retry_seconds_left", { pipeline, endpoint }, secondsLeft);
  }
  page.set("sluice_stream_messages", { pipeline }, stream.messages);
  page.set("sluice_stream_bytes", { pipeline }, stream.bytes);
  page.set("sluice_stream_limit_bytes", { pipeline }, stream.limitBytes);
  for (const shard of shards) collectShard(page, pipeline, shard);
  for (const { group, evictedKeys, shards: feeds } of status.groups) {
    page.set("sluice_destination_evicted_keys_total", { pipeline, group }, evictedKeys);
    for (const { shard, lagBytes, lagSeconds } of feeds) {
      page.set("sluice_lag_bytes", { pipeline, group, shard }, lagBytes);
      page.set("sluice_lag_seconds", { pipeline, group, shard }, lagSeconds);
    }
  }
  for (const lane of lanes) collectLane(page, pipeline, lane);
}

function collectShard(page: MetricPage, pipeline: string, shard: ShardStatus): void {
  const labels = { pipeline, shard: shard.id };
  page.set("sluice_source_offset_bytes", labels, shard.sourceOffset);
  page.set("sluice_stored_offset_bytes", labels, shard.storedOffset);
  page.set("sluice_source_epoch", labels, shard.epoch);
  page.set("sluice_source_links_total", labels, shard.term);
  page.set("sluice_source_commands_total", labels, shard.commands);
  page.set("sluice_source_bytes_total", labels, shard.bytes);
  page.set("sluice_source_copied_keys", labels, shard.copied.keys);
  page.set("sluice_source_expected_keys", labels, shard.copied.expectedKeys);
  page.set("sluice_source_copied_bytes", labels, shard.copied.bytes);
  page.set("sluice_source_expected_bytes", labels, shard.copied.expectedBytes);
}

function collectLane(page: MetricPage, pipeline: string, lane: LaneStatus): void {
  const labels = { pipeline, group: lane.group, shard: lane.shard, lane: String(lane.lane) };
  page.set("sluice_applied_offset_bytes", labels, lane.appliedOffset);
  page.set("sluice_keys_copied_total", labels, lane.keys);
  page.set("sluice_units_applied_total", labels, lane.units);
  page.set("sluice_bytes_applied_total", labels, lane.bytes);
  page.set("sluice_transactions_total", labels, lane.transactions);
  page.set("sluice_transactions_refused_total", labels, lane.stale);
  page.set("sluice_keys_repaired_total", labels, lane.repairedKeys);
  page.set("sluice_errors_skipped_total", labels, lane.skippedErrors);
  page.set("sluice_unsupported", labels, lane.unsupported);
  page.set("sluice_kept_keys", labels, lane.keptKeys);
  page.set("sluice_kept_entries", labels, lane.keptEntries);
  page.set("sluice_kept_commands_total", labels, lane.keptCommands);
  page.set("sluice_filtered_commands_total", labels, lane.filteredCommands);
}

/** Of the group that has least of it. */
function copyRatio({ groups }: PipelineStatus): number | null {
  const ratios = groups.map(({ isCopied, keys, expectedKeys }) => {
    if (isCopied) return 1;
    return expectedKeys === 0 ? null : Math.min(1, keys / expectedKeys);
  });
  const known = ratios.filter((ratio) => ratio !== null);
  return known.length === 0 || known.length < ratios.length ? null : Math.min(...known);
}

function slowest(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 || known.length < values.length ? null : Math.max(...known);
}
