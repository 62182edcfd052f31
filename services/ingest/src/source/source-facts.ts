import { infoFields } from "@sluice/redis";

/** What INFO says of a source and matters to its replica. Fields that a version does not have read as 0, empty, -1 or null. */
export interface SourceFacts {
  /** `major * 10000 + minor * 100 + patch` of redis_version: 70015 for 7.0.15. */
  readonly version: number;
  /** The same of valkey_version, beside which redis_version stands still at 7.2.4; 0 for Redis. */
  readonly valkeyVersion: number;
  readonly role: string;
  /** `host:port` of whom it replicates itself; empty for a primary. */
  readonly replicaOf: string;
  readonly replid: string;
  /** Its former replication id … */
  readonly formerReplid: string;
  /** … which may be continued up to before this offset; -1 where there is none. */
  readonly secondReplOffset: number;
  /** Offsets that it can still send; null where it does not say, and for a server that keeps none. */
  readonly backlog: { readonly first: number; readonly last: number } | null;
  /** What its backlog may hold. */
  readonly backlogSizeBytes: number;
  readonly keys: number;
  /** Numbers of the databases that hold keys, in ascending order. */
  readonly databases: readonly number[];
  /** A node of a cluster, which has database 0 alone. */
  readonly isCluster: boolean;
}

/** Reads the text of INFO. */
export function readFacts(info: string): SourceFacts {
  const fields = infoFields(info);
  const numberOf = (name: string, otherwise: number): number => Number(fields.get(name) ?? otherwise);
  let keys = 0;
  const databases: number[] = [];
  for (const [name, value] of fields) {
    if (!/^db\d+$/.test(name)) continue;
    keys += Number(/^keys=(\d+)/.exec(value)?.[1] ?? 0);
    databases.push(Number(name.slice(2)));
  }
  const first = numberOf("repl_backlog_first_byte_offset", 0);
  const master = fields.get("master_host");
  return {
    version: versionOf(fields.get("redis_version")),
    valkeyVersion: versionOf(fields.get("valkey_version")),
    role: fields.get("role") ?? "",
    replicaOf: master === undefined ? "" : `${master}:${fields.get("master_port") ?? ""}`,
    replid: fields.get("master_replid") ?? "",
    formerReplid: fields.get("master_replid2") ?? "",
    secondReplOffset: numberOf("second_repl_offset", -1),
    backlog:
      fields.get("repl_backlog_active") === "1" ? { first, last: first + numberOf("repl_backlog_histlen", 0) - 1 } : null,
    backlogSizeBytes: numberOf("repl_backlog_size", 0),
    keys,
    databases: databases.toSorted((a, b) => a - b),
    isCluster: fields.get("cluster_enabled") === "1" || fields.get("redis_mode") === "cluster",
  };
}

function versionOf(text = ""): number {
  const [major = 0, minor = 0, patch = 0] = /^\d+(?:\.\d+){0,2}/.exec(text)?.[0].split(".").map(Number) ?? [];
  return major * 10_000 + minor * 100 + patch;
}
