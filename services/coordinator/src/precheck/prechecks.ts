import type { Precheck } from "./precheck.ts";
import { busJetstream } from "./bus/jetstream.ts";
import { busMaxPayload } from "./bus/max-payload.ts";
import { busPermissions } from "./bus/permissions.ts";
import { busPowerLoss } from "./bus/power-loss.ts";
import { busReachable } from "./bus/reachable.ts";
import { busReplicas } from "./bus/replicas.ts";
import { busStorage } from "./bus/storage.ts";
import { busVersion } from "./bus/version.ts";
import { destinationBulkLength } from "./destination/bulk-length.ts";
import { destinationClock } from "./destination/clock.ts";
import { destinationCommands } from "./destination/commands.ts";
import { destinationCredentials } from "./destination/credentials.ts";
import { destinationCrossSlot } from "./destination/cross-slot.ts";
import { destinationDatabases } from "./destination/databases.ts";
import { destinationEmpty } from "./destination/empty.ts";
import { destinationEvictions } from "./destination/evictions.ts";
import { destinationExcludedCommands } from "./destination/excluded-commands.ts";
import { destinationFilters } from "./destination/filters.ts";
import { destinationFormerGroup } from "./destination/former-group.ts";
import { destinationLoaded } from "./destination/loaded.ts";
import { destinationMark } from "./destination/mark.ts";
import { destinationMemory } from "./destination/memory.ts";
import { destinationModules } from "./destination/modules.ts";
import { destinationOtherPipeline } from "./destination/other-pipeline.ts";
import { destinationPersistence } from "./destination/persistence.ts";
import { destinationReachable } from "./destination/reachable.ts";
import { destinationScripts } from "./destination/scripts.ts";
import { destinationSlotsMigrating } from "./destination/slots-migrating.ts";
import { destinationTopology } from "./destination/topology.ts";
import { destinationVersion } from "./destination/version.ts";
import { destinationWritable } from "./destination/writable.ts";
import { sourceAttachment } from "./source/attachment.ts";
import { sourceBacklog } from "./source/backlog.ts";
import { sourceBigKeys } from "./source/big-keys.ts";
import { sourceCredentials } from "./source/credentials.ts";
import { sourceDatabases } from "./source/databases.ts";
import { sourceDiskless } from "./source/diskless.ts";
import { sourceForkMemory } from "./source/fork-memory.ts";
import { sourceIsDestination } from "./source/is-destination.ts";
import { sourceLoaded } from "./source/loaded.ts";
import { sourceMinReplicas } from "./source/min-replicas.ts";
import { sourceModules } from "./source/modules.ts";
import { sourceOutputBuffer } from "./source/output-buffer.ts";
import { sourcePsyncAllowed } from "./source/psync-allowed.ts";
import { sourceReachable } from "./source/reachable.ts";
import { sourceReplTimeout } from "./source/repl-timeout.ts";
import { sourceScripts } from "./source/scripts.ts";
import { sourceSentinel } from "./source/sentinel.ts";
import { sourceSlotsMigrating } from "./source/slots-migrating.ts";
import { sourceTopology } from "./source/topology.ts";
import { sourceVersion } from "./source/version.ts";
import { sourceWait } from "./source/wait.ts";
import { sourceWholeKeyspace } from "./source/whole-keyspace.ts";

/** Every check, in the order in which the report tells them. */
export const prechecks: readonly Precheck[] = [
  sourceReachable,
  sourceCredentials,
  sourceLoaded,
  sourceTopology,
  sourceIsDestination,
  sourceVersion,
  sourcePsyncAllowed,
  sourceDatabases,
  sourceBacklog,
  sourceAttachment,
  sourceOutputBuffer,
  sourceForkMemory,
  sourceDiskless,
  sourceReplTimeout,
  sourceMinReplicas,
  sourceWait,
  sourceSentinel,
  sourceSlotsMigrating,
  sourceWholeKeyspace,
  sourceScripts,
  sourceModules,
  sourceBigKeys,
  destinationReachable,
  destinationCredentials,
  destinationLoaded,
  destinationTopology,
  destinationMark,
  destinationEmpty,
  destinationOtherPipeline,
  destinationFormerGroup,
  destinationDatabases,
  destinationFilters,
  destinationExcludedCommands,
  destinationVersion,
  destinationCommands,
  destinationScripts,
  destinationModules,
  destinationWritable,
  destinationMemory,
  destinationEvictions,
  destinationPersistence,
  destinationBulkLength,
  destinationClock,
  destinationSlotsMigrating,
  destinationCrossSlot,
  busReachable,
  busJetstream,
  busPermissions,
  busVersion,
  busReplicas,
  busStorage,
  busMaxPayload,
  busPowerLoss,
];
