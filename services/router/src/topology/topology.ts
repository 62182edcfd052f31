import type { Pipeline, TopologyRecord } from "@sluice/wire";
import { parseRedisUrl } from "@sluice/wire";

/**
 * The source shards of a pipeline and the number of lanes of each. A standalone source is one shard with one lane, so that its
 * transactions and multi-key commands stay whole.
 */
export function topologyOf(pipeline: Pick<Pipeline, "source">): TopologyRecord {
  const address = parseRedisUrl(pipeline.source.url);
  if (typeof address === "string") throw new Error(`source url: ${address}`);
  return { shards: [{ id: "s0", host: address.host, port: address.port, lanes: 1 }] };
}
