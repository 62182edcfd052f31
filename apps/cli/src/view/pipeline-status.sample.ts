import type { FeedStatus, GroupStatus, LaneStatus, PipelineStatus, ShardStatus } from "@sluice/wire";

export function sampleShard(fields: Partial<ShardStatus> = {}): ShardStatus {
  return {
    id: "s0",
    instance: "ingest-1",
    phase: "streaming",
    epoch: 1,
    term: 1,
    sourceOffset: 5_200,
    storedOffset: 5_100,
    copied: { keys: 1_000, expectedKeys: 1_000, bytes: 40_000, expectedBytes: 40_000 },
    commands: 700,
    bytes: 9_000,
    keysPerSecond: 0,
    bytesPerSecond: 1_000,
    retry: null,
    halt: null,
    ...fields,
  };
}

export function sampleLane(fields: Partial<LaneStatus> = {}): LaneStatus {
  return {
    group: "main",
    shard: "s0",
    lane: 0,
    instance: "writer-1",
    phase: "live",
    epoch: 1,
    copy: 1,
    appliedOffset: 5_000,
    sequence: 12,
    keys: 1_000,
    units: 600,
    bytes: 8_000,
    transactions: 9,
    stale: 0,
    repairedKeys: 0,
    skippedErrors: 0,
    unsupported: 0,
    keptKeys: 0,
    keptEntries: 0,
    keptCommands: 0,
    filteredCommands: 0,
    lagBytes: 200,
    lagSeconds: 0.3,
    retry: null,
    halt: null,
    ...fields,
  };
}

export function sampleFeed(fields: Partial<FeedStatus> = {}): FeedStatus {
  return {
    shard: "s0",
    keys: 1_000,
    expectedKeys: 1_000,
    isCopied: true,
    keysPerSecond: 0,
    unitsPerSecond: 1_200,
    bytesPerSecond: 34_000,
    lagBytes: 200,
    lagSeconds: 0.3,
    etaSeconds: 0,
    ...fields,
  };
}

export function sampleGroup(fields: Partial<GroupStatus> = {}): GroupStatus {
  const { shard, ...progress } = sampleFeed();
  const kept = { keptKeys: null, keptEntries: 0, keptCommands: 0, filteredCommands: null };
  return { group: "main", ...progress, evictedKeys: null, ...kept, shards: [sampleFeed({ shard })], ...fields };
}

/** A pipeline as the API shows it, for tests. */
export function samplePipeline(fields: Partial<PipelineStatus> = {}): PipelineStatus {
  return {
    name: "orders",
    state: "synchronizing",
    desired: "running",
    since: 1_000,
    reason: "",
    sampledAt: 1_000,
    drained: false,
    expiryGraceMs: 1_000,
    stream: { messages: 12, bytes: 34_000, limitBytes: null },
    events: [],
    shards: [sampleShard()],
    lanes: [sampleLane()],
    groups: [],
    waits: [],
    alarms: [],
    precheck: null,
    checkpoint: null,
    cutover: null,
    ...fields,
  };
}
