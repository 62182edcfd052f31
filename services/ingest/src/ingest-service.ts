import { Leases, runAssignedWork, type Bus } from "@sluice/bus";
import { openSecret, readCertificateFile, type ServiceContext } from "@sluice/runtime";
import { endpointOf, recordKey, SlotSet, specRecord, topologyRecord } from "@sluice/wire";
import { CopyGate } from "./copy-gate.ts";
import { SourceIntake } from "./source/intake.ts";

/** Runs an intake for every source shard that is assigned to this instance, until the process is asked to stop. */
export async function runIngest(context: ServiceContext, bus: Bus): Promise<void> {
  const { config, clock, log } = context;
  const leases = new Leases(bus.records, config.instance, clock, log);
  await runAssignedWork({
    context,
    bus,
    service: "ingest",
    pick: (assignment) => assignment.shards,
    madeFrom: ({ lanes, shards }, shard) => JSON.stringify([lanes, shards.find(({ id }) => id === shard)]),
    create: async (pipeline, shard) => {
      const spec = await bus.records.get(recordKey.spec(pipeline), specRecord);
      const topology = await bus.records.get(recordKey.topology(pipeline), topologyRecord);
      const place = topology?.value.shards.find(({ id }) => id === shard);
      if (spec === null || place === undefined)
        throw new Error(`no specification or no topology of ${pipeline} names ${shard}`);
      const endpoint = endpointOf(
        spec.value.pipeline.source,
        (sealed) => openSecret(sealed, config.secretKey),
        readCertificateFile,
      );
      return new SourceIntake({
        pipeline,
        shard,
        cut: topology?.value.lanes ?? 1,
        slots: SlotSet.parse(place.slots),
        floor: place.floor,
        endpoint: { ...endpoint, host: place.host, port: place.port },
        commands: spec.value.pipeline.source.commands,
        read: spec.value.pipeline.source.read,
        gate: new CopyGate(spec.value.pipeline, clock),
        concurrentFullSyncs: spec.value.pipeline.limits.concurrentFullSyncs,
        copyLimits: spec.value.pipeline.limits,
        publishes: spec.value.pipeline.source.publish,
        unknown: spec.value.pipeline.source.unknown,
        instance: config.instance,
        bus,
        leases,
        clock,
        log: log.child({ pipeline, shard }),
      });
    },
  });
  leases.close();
}
