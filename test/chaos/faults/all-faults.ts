import { busFaults } from "./bus-faults.ts";
import type { Fault, Topology } from "./fault.ts";
import { linkFaults } from "./link-faults.ts";
import { destinationFaults, sourceFaults } from "./server-faults.ts";
import { serviceFaults } from "./service-faults.ts";

/** Every fault that such a run can have. */
export function faultsFor(topology: Topology): Fault[] {
  const all = [...serviceFaults, ...busFaults, ...linkFaults, ...sourceFaults, ...destinationFaults];
  return all.filter(({ topologies }) => topologies === undefined || topologies.includes(topology));
}
