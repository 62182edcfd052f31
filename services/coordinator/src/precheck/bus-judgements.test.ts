import { expect, test } from "vitest";
import { busJetstream, judgeJetStream } from "./bus/jetstream.ts";
import { busMaxPayload, judgeMaxPayload } from "./bus/max-payload.ts";
import { busPermissions, judgePermissions } from "./bus/permissions.ts";
import { busPowerLoss, judgePowerLoss } from "./bus/power-loss.ts";
import { busReplicas, judgeReplicas } from "./bus/replicas.ts";
import { busStorage, judgeStorage } from "./bus/storage.ts";
import { busVersion, judgeBusVersion } from "./bus/version.ts";
import { told } from "./told.sample.ts";

const jetStream = {
  storedBytes: 0,
  storageLimitBytes: null,
  streamLimitBytes: null,
  streams: 1,
  streamCountLimit: null,
  pipelineBytes: 0,
};
const need = { dataBytes: 1_000, bytesPerSecond: 10, keepAppliedMs: 60_000, streamBytes: null };

test("storage: a copy must fit, what is kept behind it should", () => {
  const judge = (has: object, wants: object = {}): string =>
    told(busStorage, judgeStorage({ ...jetStream, ...has }, { ...need, ...wants }));
  const fix = "Raise `limits.streamBytes` of the pipeline, `max_storage` of the NATS account";
  expect(judge({})).toBe("pass");
  expect(judge({ storageLimitBytes: 2_000 })).toBe("pass");
  expect(judge({ storageLimitBytes: 1_500 })).toContain(`warn: ${fix}`);
  expect(judge({ storageLimitBytes: 2_000, storedBytes: 1_500 })).toContain(`fail: ${fix}`);
  // What the pipeline itself holds there is no loss to it.
  expect(judge({ storageLimitBytes: 2_000, storedBytes: 1_500, pipelineBytes: 1_500 })).toBe("pass");
  expect(judge({ streamLimitBytes: 900 })).toContain(`fail: ${fix}`);
  expect(judge({}, { streamBytes: 1_500 })).toContain(`warn: ${fix}`);
});

test("JetStream: it is on, and takes another stream", () => {
  const judge = (change: object): string =>
    told(busJetstream, judgeJetStream({ jetStream, jetStreamFailure: null, ...change }));
  expect(judge({})).toBe("pass");
  expect(judge({ jetStream: null, jetStreamFailure: "jetstream not enabled" })).toMatch(/^fail: Put a `jetstream \{/);
  expect(judge({ jetStream: { ...jetStream, streamCountLimit: 1 } })).toMatch(/^fail: Raise `max_streams` of the account/);
});

test("version and copies", () => {
  expect(told(busVersion, judgeBusVersion("2.9.10"))).toBe("warn: Upgrade the nats-servers one after the other.");
  for (const version of ["2.12.3", "2.14.0-beta"]) expect(told(busVersion, judgeBusVersion(version))).toBe("pass");
  const judge = (cluster: string | null, knownServers: number): string =>
    told(busReplicas, judgeReplicas({ replicas: 3, cluster, knownServers }));
  expect(judge(null, 1)).toMatch(/^fail: Add servers to the NATS cluster, or set SLUICE_STREAM_REPLICAS lower/);
  expect(judge("c", 2)).toMatch(/^fail: Add servers/);
  expect(judge("c", 3)).toBe("pass");
  expect(told(busPowerLoss, judgePowerLoss(1))).toMatch(/^warn: Run three nats-servers and set SLUICE_STREAM_REPLICAS=3/);
  expect(told(busPowerLoss, judgePowerLoss(3))).toBe("pass");
});

test("the size of messages, and what the user may do", () => {
  const fix = "Set `max_payload: 1MB` (or up to 8MB) in every nats-server.conf and reload.";
  const sizes = [1_024, 2 ** 17, 2 ** 20].map((bytes) => told(busMaxPayload, judgeMaxPayload(bytes)));
  expect(sizes).toEqual([`fail: ${fix}`, `warn: ${fix}`, "pass"]);
  const refused = judgePermissions(["sluice.p.precheck"]);
  expect(refused.found).toBe("may not publish to sluice.p.precheck");
  expect(told(busPermissions, refused)).toMatch(/^fail: Give the user these permissions in nats-server\.conf/);
  expect(told(busPermissions, judgePermissions([]))).toBe("pass");
});
