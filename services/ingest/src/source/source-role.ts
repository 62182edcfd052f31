import { endpointName, type Endpoint } from "@sluice/redis";
import { printable, Retryable } from "@sluice/runtime";
import type { SourceFacts } from "./source-facts.ts";

/** Throws `Retryable` SRC-009 where a primary was meant and a replica answers: it may lack what its primary has. */
export function checkRole(
  { role, replicaOf }: Pick<SourceFacts, "role" | "replicaOf">,
  { shard, endpoint, read }: { readonly shard: string; readonly endpoint: Endpoint; readonly read: "primary" | "replica" },
): void {
  if (read === "replica" || role !== "slave") return;
  const message = `${endpointName(endpoint)} is a replica of ${printable(replicaOf)}; expected a primary`;
  throw new Retryable("SRC-009", `source ${shard}`, message);
}
