import { pass, warn, type Look } from "./precheck.ts";
import type { DeploymentProbe } from "./probe/deployment-probe.ts";
import { listText } from "./quantity.ts";

/** Whether slots of a cluster are on their way from one node to another. */
export async function movingSlotsOf(of: DeploymentProbe): Promise<Look> {
  if (!(await of.isCluster())) return pass("no cluster: no slots move");
  return judgeMovingSlots((await of.deployment()).movingSlots);
}

function judgeMovingSlots(slots: readonly number[]): Look {
  if (slots.length === 0) return pass("no slots move");
  return warn(`slots are moving: ${listText(slots.map(String))}`);
}
