export { Authority, type Identity, type IdentityFiles, type IdentityOptions } from "./certificates/authority.ts";
export { freePort, releasePort } from "./servers/free-port.ts";
export { NatsServer, type NatsServerOptions } from "./servers/nats-server.ts";
export { TcpProxy, type TcpProxyOptions } from "./proxy/tcp-proxy.ts";
export { keySlot, parseSlots } from "./servers/key-slot.ts";
export { openClient } from "./servers/open-client.ts";
export { RedisCluster, type ClusterEndpoint, type HalfMove, type RedisClusterOptions } from "./servers/redis-cluster.ts";
export { OracleReplicas, replicasOf } from "./servers/oracle-replicas.ts";
export { RedisServer, type RedisServerOptions } from "./servers/redis-server.ts";
export { SentinelServer, type SentinelServerOptions } from "./servers/sentinel-server.ts";
export { SpawnedProcess, type Exit, type SpawnOptions } from "./servers/spawned-process.ts";
export { waitUntil, type WaitOptions } from "./servers/wait-until.ts";

export { CommandTemplates, plainWrites } from "./workload/command-templates.ts";
export type { CounterDoubt, CounterExpectation } from "./workload/counter-book.ts";
export { keyKinds, keyName, type KeyKind } from "./workload/key-name.ts";
export { defaultWeights, type StepFamily } from "./workload/make-step.ts";
export { preload, type PreloadOptions, type PreloadReport } from "./workload/preload.ts";
export { Random } from "./workload/random.ts";
export { verifyCounters } from "./workload/verify-counters.ts";
export { Workload, type WorkloadOptions, type WorkloadReport } from "./workload/workload.ts";

export { printableKey, type CanonicalContent, type CanonicalKey } from "./compare/canonical.ts";
export { compareDeployments, type CompareOptions, type Comparison } from "./compare/compare-deployments.ts";
export { compareServers } from "./compare/compare-servers.ts";
export type { Deployment, Endpoint } from "./compare/deployment-side.ts";
export { diffCanonical, type DiffCanonicalOptions, type Difference } from "./compare/diff-canonical.ts";
export type { NotCarried } from "./compare/diff-value.ts";
export { graceExpiry } from "./compare/expiry-rule.ts";
export { readCanonical } from "./compare/read-canonical.ts";

export {
  fixturesDir,
  fixtureVersions,
  laterVersions,
  loadExpected,
  loadRecording,
  rdbPath,
  type ExpectedName,
  type FixtureVersion,
  type Recording,
  type RecordingName,
} from "./recorded/fixtures.ts";
export { fixtureServers, rdbFixtures, recordedRdbs, type FixtureKey, type RdbFixture } from "./recorded/rdb-fixtures.ts";
export { RecordedPrimary, type ReceivedAck, type RecordedPrimaryOptions } from "./recorded/recorded-primary.ts";
