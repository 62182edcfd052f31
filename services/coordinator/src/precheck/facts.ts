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
}

export interface EndpointFacts {
  /** `source`, `destination main` */
  readonly endpoint: string;
  /** `host:port` */
  readonly address: string;
  readonly failure: EndpointFailure | null;
  /** Null when it could not be asked. */
  readonly server: ServerFacts | null;
}

export interface DestinationFacts extends EndpointFacts {
  readonly existing: DestinationSpec["existing"];
  /** Databases that hold keys which are not Sluice's own, with the number of all their keys. */
  readonly foreign: readonly { readonly db: number; readonly keys: number }[];
  /** This pipeline's mark there; a string says what is wrong with it; null where there is none. */
  readonly mark: Position | string | null;
}

/** Everything that the checks judge by. */
export interface PrecheckFacts {
  readonly source: EndpointFacts;
  readonly destinations: readonly DestinationFacts[];
}
