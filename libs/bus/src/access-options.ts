import { isIP } from "node:net";
import { checkServerIdentity, type ConnectionOptions as TlsConnection, type PeerCertificate } from "node:tls";
import type { NatsAccess, NatsAuth, NatsTls } from "@sluice/runtime";
import {
  credsAuthenticator,
  nkeyAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
  type Authenticator,
  type ConnectionOptions,
} from "@nats-io/transport-node";

/** What the client library needs to know of TLS and credentials. `servers`: as they stand in the URL. */
export function accessOptions(
  { tls, auth }: NatsAccess,
  servers: readonly string[],
): Pick<ConnectionOptions, "tls" | "authenticator"> {
  return {
    ...(tls === null ? {} : { tls: tlsOptions(tls, servers) }),
    ...(auth === null ? {} : { authenticator: authenticator(auth) }),
  };
}

/** The library hands every option on to Node, those too that its types leave out. With any of them it never goes on without TLS. */
function tlsOptions(tls: NatsTls, servers: readonly string[]): NonNullable<ConnectionOptions["tls"]> {
  const { ca, cert, key, serverName, isInsecure } = tls;
  const addresses = servers.map(hostOf).filter((host) => isIP(host) !== 0);
  const options: TlsConnection = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(serverName === undefined ? {} : { servername: serverName }),
    rejectUnauthorized: !isInsecure,
    minVersion: "TLSv1.2",
    checkServerIdentity: (host, certificate) => identityFault(host, certificate, serverName, addresses),
  };
  return options as NonNullable<ConnectionOptions["tls"]>;
}

/**
 * Of a server that is named by its IP address the library tells Node no name, which then takes `localhost` for it. Such a server may bear
 * any of the addresses that the URL names.
 */
function identityFault(
  host: string,
  certificate: PeerCertificate,
  serverName: string | undefined,
  addresses: readonly string[],
): Error | undefined {
  const fault = checkServerIdentity(serverName ?? (host === "localhost" ? (addresses[0] ?? host) : host), certificate);
  if (fault === undefined || serverName !== undefined || host !== "localhost") return fault;
  return addresses.some((address) => checkServerIdentity(address, certificate) === undefined) ? undefined : fault;
}

function hostOf(server: string): string {
  const address = server.includes("://") ? server : `nats://${server}`;
  return URL.canParse(address) ? new URL(address).hostname.replace(/^\[|\]$/g, "") : "";
}

function authenticator(auth: NatsAuth): Authenticator {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  switch (auth.kind) {
    case "user":
      return usernamePasswordAuthenticator(auth.user, auth.password);
    case "token":
      return tokenAuthenticator(auth.token);
    case "nkey":
      return nkeyAuthenticator(bytes(auth.seed));
    case "creds":
      return credsAuthenticator(bytes(auth.creds));
  }
}
