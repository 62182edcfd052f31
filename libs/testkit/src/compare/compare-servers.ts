import { compareDeployments, type CompareOptions, type Comparison } from "./compare-deployments.ts";
import type { Endpoint } from "./deployment-side.ts";

/** `compareDeployments` for one server on either side. */
export async function compareServers(expected: Endpoint, actual: Endpoint, options: CompareOptions = {}): Promise<Comparison> {
  return compareDeployments(expected, actual, options);
}
