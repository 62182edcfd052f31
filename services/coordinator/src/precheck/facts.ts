import type { DestinationSpec, Position } from "@sluice/wire";

/** Why nothing could be asked of a server. `reason` is the server's or the socket's own word. */
export interface EndpointFailure {
  readonly kind: "unreachable" | "credentials" | "no-answer";
  readonly reason: string;
}

/** What a server says of itself (INFO). */
export interface ServerFacts {
  readonly runId: string;
  readonly role: string;
  readonly isCluster: boolean;
  readonly isLoading: boolean;
  /** Databases that hold keys. */
  readonly databases: readonly number[];
}

/** One primary of a cluster, asked for itself. */
export interface PrimaryFacts {
  /** `host:port` */
  readonly address: string;
  /** What keeps it from being used: it can't be reached, refuses the credentials or what Sluice needs, or is no primary. Null: nothing. */
  readonly fault: string | null;
}

/** What a cluster looks like from the node that the pipeline names. */
export interface ClusterFacts {
  /** `cluster_state` of that node. */
  readonly state: string;
  /** Slots that nobody serves, as ranges; empty when all are served. */
  readonly unservedSlots: string;
  /** Why its nodes do not show one picture; null when they do. */
  readonly trouble: string | null;
  readonly primaries: readonly PrimaryFacts[];
}

export interface EndpointFacts {
  /** `source`, `destination main` */
  readonly endpoint: string;
  /** `host:port` */
  readonly address: string;
  readonly failure: EndpointFailure | null;
  /** Null when it could not be asked. */
  readonly server: ServerFacts | null;
  /** Null for a standalone server, and when it could not be asked. */
  readonly cluster: ClusterFacts | null;
  /** Run id of a standalone server, node ids of a cluster; empty when they could not be asked. */
  readonly identities: readonly string[];
}

/** Keys that are not Sluice's own. */
export interface ForeignKeys {
  /** `in database 3`, `on 127.0.0.1:7001` */
  readonly where: string;
  /** All keys there, Sluice's own included. */
  readonly keys: number;
}

export interface DestinationFacts extends EndpointFacts {
  readonly existing: DestinationSpec["existing"];
  readonly foreign: readonly ForeignKeys[];
  /** This pipeline's mark of the highest epoch there; a string says what is wrong with one; null where there is none. */
  readonly mark: Position | string | null;
}

/** Everything that the checks judge by. */
export interface PrecheckFacts {
  readonly source: EndpointFacts;
  readonly destinations: readonly DestinationFacts[];
}
