import { describe, expect, test } from "vitest";
import { pipelineStatus } from "./api.ts";
import * as records from "./records.ts";

const retry = { endpoint: "bus", since: 5, reason: "away" };
const halt = { code: "SRC-006", message: "m", remedy: "r", at: 7 };
const counts = { keys: 1, expectedKeys: 0, bytes: 3, expectedBytes: 4 };
const shard = {
  epoch: 1,
  copy: 1,
  term: 2,
  instance: "i",
  phase: "copying",
  replid: "",
  storedOffset: 0,
  db: 0,
  copied: counts,
  commands: 0,
  bytes: 0,
  retry,
  halt: null,
  at: 1_700_000_000_000.25,
};
const lane = {
  instance: "w",
  epoch: 0,
  copy: 0,
  phase: "snap",
  offset: 0,
  sequence: 0,
  keys: 0,
  units: 0,
  bytes: 0,
  transactions: 0,
  stale: 0,
  retry: null,
  halt,
  at: 0,
};
const pipeline = { name: "p", source: { url: "redis://a" }, destinations: [{ url: "redis://b" }], retryWindow: "30s" };

describe("records as services write them", () => {
  test.each([
    ["shard", records.shardRecord, shard],
    ["lane", records.laneRecord, lane],
    ["state", records.stateRecord, { state: "catching-up", since: 1, reason: "" }],
    ["router", records.routerRecord, { spec: 4, retry, halt: null, at: 9 }],
    ["epoch", records.epochRecord, { epoch: 0 }],
    ["assignment", records.assignmentRecord, { shards: { s0: "i" }, lanes: { "main.s0.0": "w" } }],
    ["checkpoint", records.checkpointRecord, { shards: { s0: { replid: "r", offset: 1, db: 0, epoch: 1 } }, lanes: {}, at: 3 }],
    ["member", records.memberRecord, { service: "writer", instance: "w", pid: 1, startedAt: 2 }],
    ["kept", records.keptRecord, { slots: "0-99,200", at: 3 }],
    ["lease", records.leaseRecord, { holder: "w" }],
  ])("%s", (_name, schema, value) => {
    expect(schema.parse(JSON.parse(JSON.stringify(value)))).toEqual(value);
  });

  test.each([
    ["a phase that is none", records.shardRecord, { ...shard, phase: "done" }],
    ["a negative offset", records.laneRecord, { ...lane, offset: -1 }],
    ["an offset that is not whole", records.laneRecord, { ...lane, offset: 0.5 }],
    ["an offset that is not exact", records.laneRecord, { ...lane, offset: 2 ** 53 }],
    ["a retry without a reason", records.laneRecord, { ...lane, retry: { endpoint: "x", since: 1 } }],
    ["a field too few", records.shardRecord, { ...shard, halt: undefined }],
    ["a state that is none", records.stateRecord, { state: "x", since: 1, reason: "" }],
    ["an instance that is no text", records.assignmentRecord, { shards: { s0: 1 }, lanes: {} }],
  ])("refuse %s", (_name, schema, value) => {
    expect(schema.safeParse(value).success).toBe(false);
  });
});

describe("the spec", () => {
  const written = { pipeline, desired: "running", createdAt: 1 };

  test("is read with defaults and milliseconds", () => {
    expect(records.specRecord.parse(written).pipeline).toMatchObject({
      retryWindow: { source: 30_000, destination: 30_000, bus: 30_000 },
      keepApplied: 600_000,
      onDivergence: "halt",
      mode: "full+changes",
    });
  });

  test("as it is written stays as it is, so that it can be read and written again", () => {
    expect(records.writtenSpec.parse(written)).toEqual(written);
    expect(records.writtenSpec.safeParse(records.specRecord.parse(written)).success).toBe(false);
  });
});

test("a status without anything known yet is one", () => {
  const status = {
    name: "p",
    state: "created",
    desired: "running",
    since: 0,
    reason: "",
    sampledAt: 0,
    drained: false,
    expiryGraceMs: 0,
    stream: { messages: 0, bytes: 0, limitBytes: null },
    shards: [],
    events: [],
    lanes: [],
    checkpoint: null,
    groups: [],
    waits: [],
    alarms: [],
    precheck: null,
    cutover: null,
  };
  expect(pipelineStatus.parse(status)).toEqual(status);
});
