import { Leases } from "@sluice/bus";
import type { SlotSet } from "@sluice/wire";
import type { LaneSessionOptions } from "../lane-session.ts";
import type { LaneWriterOptions } from "../lane-writer.ts";
import { Projection } from "../project/projection.ts";
import { Keeping } from "./keeping.ts";
import { StandaloneKept } from "./standalone-kept.ts";

/** For one session of a lane; null unless its group says `existing: keep`. */
export function keepingOf({ pipeline, group, existing, bus, clock }: LaneWriterOptions, label: string): Keeping | null {
  return existing === "keep" ? new Keeping({ pipeline, group, label, records: bus.records, clock }) : null;
}

/** What a session is to know of what its group gets. */
export function projected(
  { projection }: LaneWriterOptions,
  keeping: Keeping | null,
): Pick<LaneSessionOptions, "projection" | "keeping"> {
  if (keeping !== null) return { projection: Projection.keeping(projection ?? null, keeping.kept), keeping };
  return projection === undefined ? {} : { projection };
}

/** What one server keeps of a lane with these slots, as far as that is known there. Throws as `StandaloneKept.read`. */
export async function standaloneKept(
  options: LaneWriterOptions,
  keeping: Keeping,
  slots: SlotSet,
  mark: Parameters<StandaloneKept["read"]>[0],
  signal: AbortSignal,
): Promise<StandaloneKept> {
  const { pipeline, group, endpoint, topology, instance, bus, clock, log } = options;
  // A lease is an instance's, which may run several lanes of the group.
  const alone = async (work: (held: AbortSignal) => Promise<void>): Promise<void> => {
    const leases = new Leases(bus.records, `${instance} ${keeping.label}`, clock, log);
    await leases.during(`keep.${pipeline}.${group}`, signal, work).finally(() => leases.close());
  };
  const { lanes } = topology;
  const kept = new StandaloneKept({ name: group, endpoint, pipeline, group, lanes, slots, keeping, alone, signal });
  await kept.read(mark);
  return kept;
}
