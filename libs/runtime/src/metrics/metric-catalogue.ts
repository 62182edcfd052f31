/** What a metric is. Declared here once; what serves, documents, draws and alerts goes by it. */
export interface MetricDefinition {
  /** As Prometheus knows them (exposition format 0.0.4). A counter may begin anew at 0 whenever what counts it does. */
  readonly type: "counter" | "gauge";
  /** Whose `/metrics` has it: the coordinator's, that of every process, or that of one service. */
  readonly of: "coordinator" | "process" | "ingest and writer" | "writer";
  readonly labels: readonly string[];
  /** One line, with the unit where the name does not say it. */
  readonly help: string;
}

const ofPipeline = { of: "coordinator", type: "gauge", labels: ["pipeline"] } as const;
const ofShard = { of: "coordinator", type: "gauge", labels: ["pipeline", "shard"] } as const;
const ofGroupShard = { of: "coordinator", type: "gauge", labels: ["pipeline", "group", "shard"] } as const;
const ofLane = { of: "coordinator", type: "counter", labels: ["pipeline", "group", "shard", "lane"] } as const;
const ofProcess = { of: "process", type: "gauge", labels: ["service"] } as const;
const ofBus = { of: "process", type: "counter", labels: ["service"] } as const;

/** Every metric of Sluice: `sluice_<noun>_<unit>[_total]`. Offsets are bytes of a source's replication stream. */
export const metricCatalogue = {
  sluice_coordinator_active: {
    of: "coordinator",
    type: "gauge",
    labels: [],
    help: "1 on the coordinator that holds the lease, 0 on those that stand by and know no pipeline.",
  },
  sluice_pipeline_state: {
    ...ofPipeline,
    labels: ["pipeline", "state"],
    help: "1 for the state that the pipeline is seen in, 0 for every other.",
  },
  sluice_pipeline_state_since_seconds: {
    ...ofPipeline,
    help: "When the pipeline came into its state, in seconds since 1970.",
  },
  sluice_pipeline_drained: {
    ...ofPipeline,
    help: "1 while every lane has applied all that the source had written a few seconds ago at most, else 0.",
  },
  sluice_pipeline_halts: { ...ofPipeline, help: "Shards and lanes that stopped for good; the status shows their codes." },
  sluice_pipeline_alarms: {
    ...ofPipeline,
    labels: ["pipeline", "alarm"],
    help: "1 for each alarm that the status of the pipeline shows; absent otherwise.",
  },
  sluice_pipeline_copy_ratio: {
    ...ofPipeline,
    help: "Share of the full copy that stands in the slowest destination, 0 to 1; absent where nobody knows how much there is.",
  },
  sluice_pipeline_eta_seconds: {
    ...ofPipeline,
    help: "Seconds until the copy, or catching up, is done at the present rate; absent where that can't be told.",
  },
  sluice_expiry_grace_seconds: {
    ...ofPipeline,
    help: "What is added to every expiry in the destinations until cut-over.",
  },
  sluice_retry_seconds_left: {
    ...ofPipeline,
    labels: ["pipeline", "endpoint"],
    help: "Seconds until the retry window of an endpoint that is waited for closes; absent for those that nobody waits for.",
  },
  sluice_stream_messages: { ...ofPipeline, help: "Messages in the pipeline's stream." },
  sluice_stream_bytes: { ...ofPipeline, help: "Bytes in the pipeline's stream, as the server of NATS counts them." },
  sluice_stream_limit_bytes: {
    ...ofPipeline,
    help: "What the stream may hold by its own limit or the account's; absent where there is none but the disk.",
  },
  sluice_source_offset_bytes: {
    ...ofShard,
    help: "Offset that the source shard itself is at; absent while it can't be asked.",
  },
  sluice_stored_offset_bytes: { ...ofShard, help: "Everything of the source shard up to this offset is stored in JetStream." },
  sluice_source_epoch: { ...ofShard, help: "Epoch of the source shard: grows at every full copy." },
  sluice_source_links_total: {
    ...ofShard,
    type: "counter",
    help: "Links that ingest has made to the source shard, and was given a term for.",
  },
  sluice_source_commands_total: {
    ...ofShard,
    type: "counter",
    help: "Commands taken from the source shard's stream; begins anew with every link.",
  },
  sluice_source_bytes_total: {
    ...ofShard,
    type: "counter",
    help: "Bytes taken from the source shard's stream; begins anew with every link.",
  },
  sluice_source_copied_keys: { ...ofShard, help: "Keys of the running or last full copy that ingest has read." },
  sluice_source_expected_keys: {
    ...ofShard,
    help: "Keys that the source shard said it had when that copy began; 0 where unknown.",
  },
  sluice_source_copied_bytes: { ...ofShard, help: "Bytes of the RDB of the running or last full copy that ingest has read." },
  sluice_source_expected_bytes: { ...ofShard, help: "Bytes that this RDB has or is guessed to have; 0 where unknown." },
  sluice_lag_bytes: {
    ...ofGroupShard,
    help: "Bytes of the source shard's stream that the destination does not hold, by its slowest lane; absent before the copy is done.",
  },
  sluice_lag_seconds: {
    ...ofGroupShard,
    help: "Age of the newest look at the source's offset that the slowest lane has applied; absent before there is one.",
  },
  sluice_destination_evicted_keys_total: {
    of: "coordinator",
    type: "counter",
    labels: ["pipeline", "group"],
    help: "Keys that the servers of the destination have evicted since the pipeline saw them first. They are missing there until a full copy.",
  },
  sluice_applied_offset_bytes: { ...ofLane, type: "gauge", help: "Offset up to which the lane is applied in the destination." },
  sluice_keys_copied_total: { ...ofLane, help: "Keys of the running or last full copy that stand in the destination." },
  sluice_units_applied_total: { ...ofLane, help: "Commands and transactions applied, and entries of copies." },
  sluice_bytes_applied_total: { ...ofLane, help: "Bytes sent to the destination." },
  sluice_transactions_total: { ...ofLane, help: "Steps that the destination answered, each with its mark." },
  sluice_transactions_refused_total: {
    ...ofLane,
    help: "Steps that the destination refused because the mark was not the writer's.",
  },
  sluice_keys_repaired_total: { ...ofLane, help: "Keys taken from the source again because a command on them had failed." },
  sluice_kept_keys: {
    ...ofLane,
    type: "gauge",
    help: "Keys that stood in the destination before the first copy and are kept, with `existing: keep`.",
  },
  sluice_kept_entries: {
    ...ofLane,
    type: "gauge",
    help: "Keys of the running or last full copy that were passed over because the destination keeps a key of the name.",
  },
  sluice_kept_commands_total: {
    ...ofLane,
    help: "Commands that were left out or changed because the destination keeps a key of theirs.",
  },
  sluice_filtered_commands_total: {
    ...ofLane,
    help: "Commands that were left out by their names, since the lane began (`commands.exclude`).",
  },
  sluice_unsupported: {
    ...ofLane,
    type: "gauge",
    help: "Keys of the running or last full copy, and commands since, of which something was left out that the destination can't hold.",
  },
  sluice_errors_skipped_total: { ...ofLane, help: "Errors passed over, as `onDivergence: skip` says." },
  sluice_api_requests_total: {
    of: "coordinator",
    type: "counter",
    labels: ["operation", "status"],
    help: "Requests that the API answered.",
  },
  sluice_api_event_clients: {
    of: "coordinator",
    type: "gauge",
    labels: [],
    help: "Clients that follow events of the API now.",
  },
  sluice_process_start_seconds: { ...ofProcess, help: "When the process began, in seconds since 1970." },
  sluice_process_memory_bytes: {
    ...ofProcess,
    labels: ["service", "kind"],
    help: "Memory of the process: `resident`, `heap` in use, `external` buffers.",
  },
  sluice_process_cpu_seconds_total: { ...ofProcess, type: "counter", help: "Processor time used, of user and system." },
  sluice_process_event_loop_delay_seconds: {
    ...ofProcess,
    labels: ["service", "quantile"],
    help: "Delay of the event loop since the metrics were read last: `0.5`, `0.99` and the longest (`1`).",
  },
  sluice_process_work: { ...ofProcess, of: "ingest and writer", help: "Shards or lanes that this process runs." },
  sluice_failures_total: {
    ...ofProcess,
    type: "counter",
    labels: ["service", "code", "outcome"],
    help: "Failures of what this process runs, by code; `outcome`: `retry` is tried again, `halt` waits for an operator.",
  },
  sluice_bus_up: { ...ofProcess, help: "1 while the connection to NATS stands, else 0." },
  sluice_bus_reconnects_total: { ...ofBus, help: "Times that the connection to NATS was made anew." },
  sluice_bus_batches_stored_total: {
    ...ofBus,
    of: "ingest and writer",
    help: "Messages that JetStream has stored for this process.",
  },
  sluice_bus_bytes_stored_total: { ...ofBus, of: "ingest and writer", help: "Bytes of these messages." },
  sluice_bus_batches_refused_total: {
    ...ofBus,
    of: "ingest and writer",
    help: "Messages that JetStream refused because the lane's last one was another.",
  },
  sluice_bus_batches_unanswered_total: {
    ...ofBus,
    of: "ingest and writer",
    help: "Messages without an answer; the lane's tail was asked what became of them.",
  },
  sluice_bus_batches_read_total: { ...ofBus, of: "ingest and writer", help: "Messages read from lanes." },
  sluice_bus_bytes_read_total: { ...ofBus, of: "ingest and writer", help: "Bytes of these messages." },
  sluice_verdicts_total: {
    of: "writer",
    type: "counter",
    labels: ["verdict"],
    help: "Batches of changes by what they were to their lane: `apply`, `skip`, `newEpoch`, `gap`, `regress`, `otherHistory`.",
  },
  sluice_writer_units_total: { of: "writer", type: "counter", labels: [], help: "Units that this process has applied." },
  sluice_writer_bytes_total: {
    of: "writer",
    type: "counter",
    labels: [],
    help: "Bytes that this process has sent to destinations.",
  },
  sluice_writer_transactions_total: {
    of: "writer",
    type: "counter",
    labels: [],
    help: "Steps that destinations have answered to this process.",
  },
  sluice_writer_transactions_refused_total: {
    of: "writer",
    type: "counter",
    labels: [],
    help: "Steps that destinations refused to this process because the mark was not its own.",
  },
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof metricCatalogue;
/** A value for each label of a metric. */
export type MetricLabels<N extends MetricName> = Readonly<Record<(typeof metricCatalogue)[N]["labels"][number], string>>;
