import {
  ClusterConnections,
  endpointName,
  infoFields,
  lookAtDeployment,
  primaryBySentinels,
  sentinelConnections,
  type Address,
  type Endpoint,
} from "@sluice/redis";
import { describeFault } from "@sluice/runtime";
import type { TopologyRecord } from "@sluice/wire";
import { controlClient } from "../endpoint/control-client.ts";

/** How long connecting to a server and each of its answers may take. */
const TIMEOUT_MS = 3_000;
/** Servers that are asked at a time. */
const AT_A_TIME = 16;

/** What a source shard says of its stream, or why it says nothing. */
export type SourceHistory =
  | {
      readonly kind: "told";
      readonly replid: string;
      readonly formerReplid: string;
      /** The former history may be continued up to before this offset. */
      readonly secondReplOffset: number;
      /** Offsets that it can still send; null where it keeps none. */
      readonly backlog: { readonly first: number; readonly last: number } | null;
    }
  | { readonly kind: "silent"; readonly why: string };

/**
 * Asks the primaries that `source` leads to now what they can still send, by shard of the topology: the one with most of the shard's
 * slots. Never rejects.
 */
export async function sourceHistories(source: Endpoint, topology: TopologyRecord): Promise<Map<string, SourceHistory>> {
  const histories = new Map<string, SourceHistory>();
  try {
    const places = await primariesOf(source, topology);
    const shards = [...places];
    for (let at = 0; at < shards.length; at += AT_A_TIME) {
      const asked = shards.slice(at, at + AT_A_TIME).map(async ([id, address]) => {
        histories.set(
          id,
          address === null ? silent("nobody serves its slots alone") : await historyOf({ ...source, ...address }),
        );
      });
      await Promise.all(asked);
    }
  } catch (cause) {
    for (const { id } of topology.shards) histories.set(id, silent(describeFault(cause)));
  }
  return histories;
}

/** Reads `INFO replication`. */
export function readHistory(info: string): SourceHistory {
  const fields = infoFields(info);
  if (fields.get("role") === "slave") return silent("it is a replica");
  const first = Number(fields.get("repl_backlog_first_byte_offset") ?? 0);
  return {
    kind: "told",
    replid: fields.get("master_replid") ?? "",
    formerReplid: fields.get("master_replid2") ?? "",
    secondReplOffset: Number(fields.get("second_repl_offset") ?? -1),
    backlog:
      fields.get("repl_backlog_active") === "1"
        ? { first, last: first + Number(fields.get("repl_backlog_histlen") ?? 0) - 1 }
        : null,
  };
}

/** Null for a shard whose slots are no longer together. */
async function primariesOf(source: Endpoint, topology: TopologyRecord): Promise<Map<string, Address | null>> {
  if (topology.mode === "standalone") {
    const address = await primaryAt(source);
    return new Map(topology.shards.map(({ id }) => [id, address]));
  }
  const connections = new ClusterConnections(source, TIMEOUT_MS);
  try {
    const { primaries } = await lookAtDeployment(connections, [source]);
    return new Map(topology.shards.map(({ id, slots }) => [id, primaries.find((primary) => primary.slots === slots) ?? null]));
  } finally {
    connections.close();
  }
}

async function primaryAt(source: Endpoint): Promise<Address> {
  if (source.sentinels === undefined) return source;
  const connections = sentinelConnections(source, source.sentinels, TIMEOUT_MS);
  try {
    return await primaryBySentinels(connections, source.sentinels);
  } finally {
    connections.close();
  }
}

async function historyOf(endpoint: Endpoint): Promise<SourceHistory> {
  const client = controlClient(endpoint, { isLasting: false });
  try {
    await client.connect();
    return readHistory(await client.info("replication"));
  } catch (cause) {
    return silent(`${endpointName(endpoint)}: ${describeFault(cause)}`);
  } finally {
    client.disconnect();
  }
}

function silent(why: string): SourceHistory {
  return { kind: "silent", why };
}
