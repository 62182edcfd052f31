import { Leases, runAssignedWork, type Bus } from "@sluice/bus";
import { openSecret, readCertificateFile, type ServiceContext } from "@sluice/runtime";
import {
  endpointOf,
  expiryGraceMs,
  expiryWithGrace,
  parseGroupLaneLabel,
  recordKey,
  specRecord,
  destinationRecord,
  topologyRecord,
} from "@sluice/wire";
import { LaneWriter } from "./lane-writer.ts";
import { Projection } from "./project/projection.ts";
import { WriterTally } from "./writer-tally.ts";

/** Runs a lane writer for every lane that is assigned to this instance, until the process is asked to stop. */
export async function runWriter(context: ServiceContext, bus: Bus): Promise<void> {
  const { config, clock, log, meters } = context;
  const tally = new WriterTally();
  meters?.add(tally.meter);
  const leases = new Leases(bus.records, config.instance, clock, log);
  await runAssignedWork({
    context,
    bus,
    service: "writer",
    pick: (assignment) => assignment.lanes,
    madeFrom: ({ lanes, shards }, label, { additions }) => {
      const { group, shard } = parseGroupLaneLabel(label);
      const own = shards.find(({ id }) => id === shard);
      return JSON.stringify([lanes, own?.slots, own?.floor, additions?.[group]?.number]);
    },
    create: async (pipeline, label) => {
      const { group, shard, lane } = parseGroupLaneLabel(label);
      const spec = await bus.records.get(recordKey.spec(pipeline), specRecord);
      const destination = spec?.value.pipeline.destinations.find((candidate) => candidate.group === group);
      if (spec === null || destination === undefined) throw new Error(`no specification of ${pipeline} names group ${group}`);
      const added = spec.value.additions?.[group];
      const topology = await bus.records.get(recordKey.topology(pipeline), topologyRecord);
      const servers = await bus.records.get(recordKey.destination(pipeline, group), destinationRecord);
      if (topology === null || servers === null) throw new Error(`the router has not written the topology of ${pipeline} yet`);
      const open = (sealed: string): string => openSecret(sealed, config.secretKey);
      const graceMs = expiryGraceMs(spec.value.pipeline);
      const projection = Projection.of(spec.value.pipeline.source, destination);
      return new LaneWriter({
        pipeline,
        group,
        shard,
        lane,
        endpoint: endpointOf(destination, open, readCertificateFile),
        destination: servers.value,
        topology: topology.value,
        ...(added === undefined ? {} : { addition: added }),
        existing: destination.existing,
        unsupported: destination.unsupported,
        isCopyless: spec.value.pipeline.mode === "changes",
        ...(projection === null ? {} : { projection }),
        shift: (expireAtMs) => expiryWithGrace(expireAtMs, graceMs),
        divergence: {
          policy: spec.value.pipeline.onDivergence,
          source: endpointOf(spec.value.pipeline.source, open, readCertificateFile),
        },
        instance: config.instance,
        bus,
        leases,
        clock,
        log: log.child({ pipeline, lane: label }),
        tally,
      });
    },
  });
  leases.close();
}
