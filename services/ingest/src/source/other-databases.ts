import { infoFields } from "@sluice/redis";

/** What a source says of the databases that its clients use. Null: it may not be asked for that. */
export interface DatabaseUse {
  /** Numbers of the databases that hold keys. */
  readonly databases: readonly number[];
  /** Text of INFO commandstats. */
  readonly commandStats: string | null;
  /** Text of CLIENT LIST. */
  readonly clients: string | null;
}

/**
 * Why the replication stream of a source may be in another database than 0, for people; null where it can't be, since nobody ever was in
 * another one. Keys alone do not tell: a queue in database 1 that is drained at the moment leaves none. Statistics do, until they are
 * reset (CONFIG RESETSTAT); who selected a database before that is in it still, as long as it is connected.
 */
export function whyNotFirstDatabase({ databases, commandStats, clients }: DatabaseUse): string | null {
  const others = databases.filter((db) => db !== 0);
  if (others.length > 0) return `keys stand in database ${others.join(", ")}`;
  if (commandStats === null) return "it does not let us ask INFO commandstats (+info)";
  const stats = infoFields(commandStats);
  if (![...stats.keys()].some((name) => name.startsWith("cmdstat_"))) return "INFO commandstats says nothing";
  const calls = Number(/calls=(\d+)/.exec(stats.get("cmdstat_select") ?? "calls=0")?.[1] ?? NaN);
  if (calls !== 0) return "its clients have called SELECT";
  if (clients === null) return "it does not let us ask CLIENT LIST (+client|list)";
  for (const line of clients.split("\n")) {
    const db = / db=(\d+)/.exec(line)?.[1] ?? "0";
    // Replicas select nothing that is replicated. Our own link is in database 0.
    if (db !== "0" && !/ flags=\w*S/.test(line)) return `a client is in database ${db}`;
  }
  return null;
}
