/** Where a Redis server listens and how to prove who we are. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  /** Present: TLS, verified, with no way back to plain text. Absent: plain TCP. */
  readonly tls?: EndpointTls;
  /** ACL user (Redis 6). Without it AUTH takes the password alone. */
  readonly user?: string;
  readonly password?: string;
  /** Credentials of single nodes of the deployment, by their `endpointName`; what one of them leaves out is as said above. */
  readonly nodes?: Readonly<Record<string, Credentials>>;
  /** Present: `host` and `port` are those of a Sentinel, and these tell where the server is. Nothing connects there by itself. */
  readonly sentinels?: Sentinels;
}

export interface Credentials {
  readonly user?: string;
  readonly password?: string;
}

/** Sentinels that know where a primary is; with TLS where the endpoint has it. */
export interface Sentinels {
  /** The name under which they watch it. */
  readonly primary: string;
  readonly servers: readonly { readonly host: string; readonly port: number }[];
  readonly user?: string;
  readonly password?: string;
}

export interface EndpointTls {
  /** Certificate authorities in PEM. Default: those that Node ships. */
  readonly ca?: string | Buffer;
  /** Client certificate and its key in PEM. */
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  /** Name that the certificate must bear. Default: the endpoint's host. */
  readonly serverName?: string;
  /** Takes any certificate: whoever is in between can read and change everything. */
  readonly insecure?: boolean;
}

/** `host:port` for messages, with brackets around an IPv6 address. Never holds credentials. */
export function endpointName(endpoint: Endpoint): string {
  return endpoint.host.includes(":") ? `[${endpoint.host}]:${endpoint.port}` : `${endpoint.host}:${endpoint.port}`;
}

/** What the server at `host` and `port` of the endpoint is to be told: its own credentials, or those of the deployment. */
export function credentialsFor(endpoint: Endpoint): Credentials {
  const { user, password, nodes } = endpoint;
  const name = endpointName(endpoint).toLowerCase();
  const own = nodes !== undefined && Object.hasOwn(nodes, name) ? nodes[name] : undefined;
  const [said, secret] = [own?.user ?? user, own?.password ?? password];
  return { ...(said === undefined ? {} : { user: said }), ...(secret === undefined ? {} : { password: secret }) };
}
