import type { SimServer } from "./sim-server.ts";

const BACKLOG_BYTES = 1_048_576;

type Section = (server: SimServer) => Readonly<Record<string, string | number>>;

function server(of: SimServer): Record<string, string | number> {
  const uptimeSeconds = Math.floor((of.nowMs - of.startedAtMs) / 1000);
  return {
    redis_version: of.version,
    redis_mode: of.cluster === null ? "standalone" : "cluster",
    os: "simulated",
    process_id: 1,
    run_id: of.runId,
    tcp_port: of.port,
    uptime_in_seconds: uptimeSeconds,
    uptime_in_days: Math.floor(uptimeSeconds / 86_400),
  };
}

function persistence(of: SimServer): Record<string, string | number> {
  return { loading: of.failWith === "LOADING" ? 1 : 0, async_loading: 0, rdb_bgsave_in_progress: 0, aof_enabled: 0 };
}

/** replication.c and server.c, `genRedisInfoString`. */
function replication(of: SimServer): Record<string, string | number> {
  const { log, primaryLink } = of;
  const fields: Record<string, string | number> = { role: primaryLink === null ? "master" : "slave" };
  if (primaryLink !== null) {
    fields["master_host"] = primaryLink.primary.host;
    fields["master_port"] = primaryLink.primary.port;
    fields["master_link_status"] = primaryLink.isLinked ? "up" : "down";
    fields["master_last_io_seconds_ago"] = primaryLink.isLinked ? 0 : -1;
    fields["master_sync_in_progress"] = 0;
    fields["slave_read_repl_offset"] = log.offset;
    fields["slave_repl_offset"] = log.offset;
    fields["slave_priority"] = 100;
    fields["slave_read_only"] = 1;
    fields["replica_announced"] = 1;
  }
  const lines: string[] = [];
  for (const replica of of.replicas) {
    if (!replica.isLinked) continue;
    const { host, port } = replica.server;
    lines.push(`ip=${host},port=${port},state=online,offset=${replica.server.log.offset},lag=0`);
  }
  for (const { feed, announced } of of.sessions) {
    if (feed === null) continue;
    const host = announced.get("ip-address") ?? of.host;
    const port = announced.get("listening-port") ?? "0";
    lines.push(`ip=${host},port=${port},state=${feed.state},offset=${Math.max(0, feed.acknowledged)},lag=0`);
  }
  fields["connected_slaves"] = lines.length;
  for (const [index, line] of lines.entries()) fields[`slave${index}`] = line;
  return {
    ...fields,
    master_failover_state: "no-failover",
    master_replid: log.replid,
    master_replid2: log.replid2,
    master_repl_offset: log.offset,
    second_repl_offset: log.secondOffset,
    repl_backlog_active: log.isKept ? 1 : 0,
    repl_backlog_size: of.options.backlogBytes ?? BACKLOG_BYTES,
    repl_backlog_first_byte_offset: log.isKept ? log.firstOffset : 0,
    repl_backlog_histlen: log.isKept ? log.offset - log.firstOffset + 1 : 0,
  };
}

function keyspace(of: SimServer): Record<string, string | number> {
  const held = of.keyspace.databases.filter(({ entries }) => entries.size > 0);
  return Object.fromEntries(
    held.map(({ id, entries, volatile }) => [`db${id}`, `keys=${entries.size},expires=${volatile.size},avg_ttl=0`]),
  );
}

const SECTIONS: Readonly<Record<string, Section>> = {
  Server: server,
  Clients: (of) => ({ connected_clients: of.sessions.size, blocked_clients: 0 }),
  Memory: (of) => ({
    used_memory: 1_000_000,
    maxmemory: of.failWith === "OOM" ? 1_000_000 : 0,
    maxmemory_policy: "noeviction",
  }),
  Persistence: persistence,
  Stats: () => ({ total_connections_received: 0, expired_keys: 0, evicted_keys: 0 }),
  Replication: replication,
  Cluster: (of) => ({ cluster_enabled: of.cluster === null ? 0 : 1 }),
  Keyspace: keyspace,
};

/** The answer of INFO: the sections asked for by name, all of them for none. */
export function infoText(of: SimServer, names: readonly string[]): string {
  const wanted = new Set(names.map((name) => name.toLowerCase()));
  const isAll = wanted.size === 0 || ["all", "default", "everything"].some((word) => wanted.has(word));
  return Object.entries(SECTIONS)
    .filter(([name]) => isAll || wanted.has(name.toLowerCase()))
    .map(([name, section]) => {
      const lines = Object.entries(section(of)).map(([field, value]) => `${field}:${value}\r\n`);
      return `# ${name}\r\n${lines.join("")}`;
    })
    .join("\r\n");
}
