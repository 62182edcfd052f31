/** From here on a server sends an RDB without keeping its stream for whoever takes it: `REPLCONF rdb-only 1` (replication.c, `replconfCommand`). */
const RDB_ONLY_SINCE = 60_200;
/** From here on a cluster may have several databases (Valkey, `cluster-databases`). */
const CLUSTER_DATABASES_SINCE = 90_000;

/** What a server says of itself that tells how a full copy can be had of it. Versions are `major * 10000 + minor * 100 + patch`. */
export interface CopiedServer {
  readonly version: number;
  /** 0 for Redis. */
  readonly valkeyVersion: number;
  readonly isPrimary: boolean;
  readonly isCluster: boolean;
}

/** Whether a server sends an RDB for which it keeps no stream. */
export function sendsRdbAlone({ version }: Pick<CopiedServer, "version">): boolean {
  return version >= RDB_ONLY_SINCE;
}

/**
 * Whether a full copy of a server can come over one link, and what clients write meanwhile over another one. Behind the copy a primary selects its
 * database anew (replication.c, `replicationSetupSlaveForFullResync`); a replica passes on what its own primary sends, so that nothing but the RDB tells
 * which database that is in, unless there is only one.
 */
export function copiesOverTwoLinks(server: CopiedServer): boolean {
  const hasOneDatabase = server.isCluster && server.valkeyVersion < CLUSTER_DATABASES_SINCE;
  return sendsRdbAlone(server) && (server.isPrimary || hasOneDatabase);
}
