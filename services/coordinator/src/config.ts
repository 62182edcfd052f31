import { createSecureContext } from "node:tls";
import { Halt } from "@sluice/runtime";
import { DEFAULT_API_LISTEN } from "@sluice/wire";

/** Where the API listens. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** How the API is reached, and by whom. */
export interface ApiSettings {
  readonly listen: ListenAddress;
  /** What a client has to name; null where everybody on this machine may ask. */
  readonly token: string | null;
  /** Certificate and key, PEM; null for plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
}

const HOST_AND_PORT = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/;
const LOOPBACK = /^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1|localhost)$/;
/** Whoever finds the port may guess as fast as the network allows. */
const LEAST_TOKEN_LENGTH = 16;
const MOST_TOKEN_LENGTH = 512;

/**
 * Reads `SLUICE_API_LISTEN` (host:port; port 0 takes a free one), `SLUICE_API_TOKEN` or `SLUICE_API_TOKEN_FILE`, `SLUICE_API_CERT`
 * and `SLUICE_API_KEY` (files). Throws `Halt` SLU-002: also for an address that others reach, where no token is set.
 */
export function readApiSettings(environment: NodeJS.ProcessEnv, readFile: (path: string) => string): ApiSettings {
  const listen = readListenAddress(environment);
  const token = readToken(environment, readFile);
  if (token === null && !isLoopback(listen.host)) {
    throw new Halt(
      "SLU-002",
      `SLUICE_API_LISTEN is ${JSON.stringify(environment["SLUICE_API_LISTEN"])}, which others can reach, and SLUICE_API_TOKEN is not set: anybody could start and stop pipelines. Set a token, e.g. SLUICE_API_TOKEN="$(openssl rand -hex 32)", or listen on 127.0.0.1, ::1 or localhost`,
    );
  }
  return { listen, token, tls: readCertificate(environment, readFile) };
}

/** Whether only this machine reaches an address. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

function readListenAddress(environment: NodeJS.ProcessEnv): ListenAddress {
  const text = environment["SLUICE_API_LISTEN"] ?? DEFAULT_API_LISTEN;
  const fields = HOST_AND_PORT.exec(text);
  const host = fields?.[1] ?? fields?.[2];
  const port = Number(fields?.[3]);
  if (host === undefined || port > 65_535) {
    throw new Halt("SLU-002", `SLUICE_API_LISTEN is ${JSON.stringify(text)}; expected host:port such as ${DEFAULT_API_LISTEN}`);
  }
  return { host, port };
}

function readToken(environment: NodeJS.ProcessEnv, readFile: (path: string) => string): string | null {
  const plain = environment["SLUICE_API_TOKEN"];
  const path = environment["SLUICE_API_TOKEN_FILE"];
  if (plain !== undefined && path !== undefined)
    throw new Halt("SLU-002", "SLUICE_API_TOKEN and SLUICE_API_TOKEN_FILE are both set; expected one of them");
  const found = path === undefined ? plain : readSetting("SLUICE_API_TOKEN_FILE", path, readFile).trim();
  if (found === undefined) return null;
  const name = path === undefined ? "SLUICE_API_TOKEN" : `the file ${path} in SLUICE_API_TOKEN_FILE`;
  // What a header can carry (RFC 6750, b64token), so that a client can send it.
  if (!/^[A-Za-z0-9\-._~+/]+=*$/.test(found) || found.length < LEAST_TOKEN_LENGTH || found.length > MOST_TOKEN_LENGTH) {
    throw new Halt(
      "SLU-002",
      `${name} holds ${found.length} characters; expected ${LEAST_TOKEN_LENGTH} to ${MOST_TOKEN_LENGTH} letters, digits or -._~+/, such as openssl rand -hex 32 makes`,
    );
  }
  return found;
}

function readCertificate(environment: NodeJS.ProcessEnv, readFile: (path: string) => string): ApiSettings["tls"] {
  const cert = environment["SLUICE_API_CERT"];
  const key = environment["SLUICE_API_KEY"];
  if (cert === undefined && key === undefined) return null;
  if (cert === undefined || key === undefined) {
    const [set, missing] = cert === undefined ? ["SLUICE_API_KEY", "SLUICE_API_CERT"] : ["SLUICE_API_CERT", "SLUICE_API_KEY"];
    throw new Halt("SLU-002", `${set} is set and ${missing} is not; expected the files of a certificate and of its key, PEM`);
  }
  const tls = { cert: readSetting("SLUICE_API_CERT", cert, readFile), key: readSetting("SLUICE_API_KEY", key, readFile) };
  try {
    createSecureContext(tls);
  } catch (cause) {
    const files = `${JSON.stringify(cert)} and ${JSON.stringify(key)}`;
    throw new Halt("SLU-002", `SLUICE_API_CERT and SLUICE_API_KEY name ${files}; expected a certificate and its own key, PEM`, {
      cause,
    });
  }
  return tls;
}

function readSetting(name: string, path: string, readFile: (path: string) => string): string {
  try {
    return readFile(path);
  } catch (cause) {
    throw new Halt("SLU-002", `${name} names ${JSON.stringify(path)}, which can't be read`, { cause });
  }
}
