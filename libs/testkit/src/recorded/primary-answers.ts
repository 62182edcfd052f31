/** What a recorded primary says about itself on any connection. */
export interface PrimaryIdentity {
  readonly version: string;
  readonly replid: string;
  /** The former replication id, and the offset up to before which it may be continued; -1 where there is none. */
  readonly former: { readonly replid: string; readonly secondOffset: number };
  /** It says that it is a replica itself. */
  readonly isReplica: boolean;
  readonly replOffset: number;
  readonly firstOffset: number;
  readonly replicas: number;
  readonly port: number;
  readonly isCluster: boolean;
}

const SETTINGS: Readonly<Record<string, string>> = {
  databases: "16",
  maxmemory: "0",
  "maxmemory-policy": "noeviction",
  "repl-timeout": "60",
  "repl-backlog-size": "1048576",
  "client-output-buffer-limit": "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
};

/** The reply to a command that is not part of replication, as RESP2. */
export function answer(args: readonly string[], identity: PrimaryIdentity): string {
  const [name = "", first = "", second = ""] = args;
  switch (name.toUpperCase()) {
    case "PING":
      return "+PONG\r\n";
    case "SELECT":
    case "CLIENT":
      return "+OK\r\n";
    case "AUTH":
      return "-ERR Client sent AUTH, but no password is set\r\n";
    case "INFO":
      return bulk(info(args.slice(1), identity));
    case "ROLE":
      return `*3\r\n${bulk("master")}:${identity.replOffset}\r\n*0\r\n`;
    case "CONFIG":
      return first.toUpperCase() === "GET" ? setting(second.toLowerCase()) : "-ERR this server plays a recording\r\n";
    case "CLUSTER":
      return "-ERR This instance has cluster support disabled\r\n";
    case "COMMAND":
      return "*0\r\n";
    case "EXISTS":
      return ":0\r\n";
    case "SCAN":
      return `*2\r\n${bulk("0")}*0\r\n`;
    default:
      return `-ERR unknown command '${name}'\r\n`;
  }
}

/** Major version as a number, e.g. 7 of "7.0.15". Valkey's go on from there. */
export function majorOf(version: string): number {
  return Number.parseInt(version.replace("valkey-", ""), 10);
}

function info(sections: readonly string[], identity: PrimaryIdentity): string {
  const hasReplid = majorOf(identity.version) >= 4;
  const [, valkey] = /^valkey-(.*)$/.exec(identity.version) ?? [];
  const texts: Readonly<Record<string, readonly string[]>> = {
    server: [
      `redis_version:${valkey === undefined ? identity.version : "7.2.4"}`,
      ...(valkey === undefined ? [] : ["server_name:valkey", `valkey_version:${valkey}`]),
      `redis_mode:${identity.isCluster ? "cluster" : "standalone"}`,
      `run_id:${identity.replid}`,
      `tcp_port:${identity.port}`,
    ],
    cluster: [`cluster_enabled:${identity.isCluster ? 1 : 0}`],
    persistence: ["loading:0", "rdb_bgsave_in_progress:0"],
    memory: ["used_memory:1000000", "maxmemory:0"],
    replication: [
      ...(identity.isReplica ? ["role:slave", "master_host:127.0.0.1", "master_port:1"] : ["role:master"]),
      `connected_slaves:${identity.replicas}`,
      ...(hasReplid ? [`master_replid:${identity.replid}`, `master_replid2:${identity.former.replid}`] : []),
      `master_repl_offset:${identity.replOffset}`,
      ...(hasReplid ? [`second_repl_offset:${identity.former.secondOffset}`] : []),
      "repl_backlog_active:1",
      "repl_backlog_size:1048576",
      `repl_backlog_first_byte_offset:${identity.firstOffset}`,
      `repl_backlog_histlen:${identity.replOffset - identity.firstOffset + 1}`,
    ],
  };
  const wanted = sections.map((section) => section.toLowerCase());
  const isWanted = (name: string): boolean =>
    wanted.length === 0 || wanted.some((section) => section === name || section === "all");
  return Object.entries(texts)
    .filter(([name]) => isWanted(name))
    .map(([name, lines]) => `# ${name[0]?.toUpperCase()}${name.slice(1)}\r\n${lines.join("\r\n")}\r\n`)
    .join("\r\n");
}

function setting(name: string): string {
  const value = SETTINGS[name];
  return value === undefined ? "*0\r\n" : `*2\r\n${bulk(name)}${bulk(value)}`;
}

function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}
