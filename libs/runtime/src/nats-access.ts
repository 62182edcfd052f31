import { readFileSync } from "node:fs";
import { readCertificateFile, type CertificateFile } from "./certificate-file.ts";
import { Halt } from "./fault.ts";

/** How a service shows NATS who it is, and how it makes sure that it is NATS. */
export interface NatsAccess {
  /** Null: without TLS, unless the server asks for it. Else never without. */
  readonly tls: NatsTls | null;
  readonly auth: NatsAuth | null;
}

/** Certificates and keys as text in PEM. */
export interface NatsTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
  readonly isInsecure: boolean;
}

export type NatsAuth =
  | { readonly kind: "user"; readonly user: string; readonly password: string }
  | { readonly kind: "token"; readonly token: string }
  /** Seed of a user nkey, `SU…`. */
  | { readonly kind: "nkey"; readonly seed: string }
  /** Content of a credentials file: a JWT and its seed. */
  | { readonly kind: "creds"; readonly creds: string };

type Environment = Readonly<Record<string, string | undefined>>;

const CERTIFICATES = [
  ["SLUICE_NATS_CA", "ca"],
  ["SLUICE_NATS_CERT", "cert"],
  ["SLUICE_NATS_KEY", "key"],
] as const;

/** Reads the settings `SLUICE_NATS_…` but for the URL itself; an empty one is none. Throws `Halt` SLU-002 that names the setting, and never what it holds. */
export function readNatsAccess(variables: Environment, url: string): NatsAccess {
  const environment = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ""));
  const servers = url.split(",").map((server) => server.trim());
  for (const server of servers) {
    if (server.includes("@")) {
      throw refused(
        "SLUICE_NATS_URL holds credentials, which belong into SLUICE_NATS_USER and SLUICE_NATS_PASSWORD or SLUICE_NATS_TOKEN",
      );
    }
    if (server.includes("://") && !/^(nats|tls):\/\//.test(server)) {
      throw refused(`SLUICE_NATS_URL names ${JSON.stringify(server)}; expected nats://host:port, or tls://host:port`);
    }
  }
  return { tls: readTls(environment, servers), auth: readAuth(environment) };
}

function readTls(environment: Environment, servers: readonly string[]): NatsTls | null {
  const files: Partial<Record<CertificateFile, string>> = {};
  for (const [name, kind] of CERTIFICATES) {
    const path = environment[name];
    if (path !== undefined) files[kind] = certificate(name, path, kind);
  }
  if ((files.cert === undefined) !== (files.key === undefined)) {
    throw refused("one of SLUICE_NATS_CERT and SLUICE_NATS_KEY is set; expected both, or neither");
  }
  const serverName = environment["SLUICE_NATS_SERVER_NAME"];
  const insecure = environment["SLUICE_NATS_INSECURE"] ?? "false";
  if (insecure !== "true" && insecure !== "false") {
    throw refused(`SLUICE_NATS_INSECURE is ${JSON.stringify(insecure)}; expected true or false`);
  }
  const isAsked = servers.some((server) => server.startsWith("tls://"));
  const isSet = Object.keys(files).length > 0 || serverName !== undefined || insecure === "true";
  if (!isAsked && !isSet) return null;
  if (!servers.every((server) => server.startsWith("tls://"))) {
    throw refused("SLUICE_NATS_URL names servers without TLS beside settings for TLS; expected tls://host:port for each");
  }
  return { ...files, ...(serverName === undefined ? {} : { serverName }), isInsecure: insecure === "true" };
}

function readAuth(environment: Environment): NatsAuth | null {
  const [user, password] = [environment["SLUICE_NATS_USER"], secret(environment, "SLUICE_NATS_PASSWORD")];
  const token = secret(environment, "SLUICE_NATS_TOKEN");
  const [nkey, creds] = [environment["SLUICE_NATS_NKEY"], environment["SLUICE_NATS_CREDS"]];
  const named = [user ?? password, token, nkey, creds].filter((value) => value !== undefined);
  if (named.length > 1) {
    throw refused(
      "more than one of SLUICE_NATS_USER, SLUICE_NATS_TOKEN, SLUICE_NATS_NKEY and SLUICE_NATS_CREDS is set; expected one",
    );
  }
  if (nkey !== undefined) return { kind: "nkey", seed: seedIn(nkey) };
  if (creds !== undefined) return { kind: "creds", creds: credsIn(creds) };
  if (token !== undefined) return { kind: "token", token };
  if (user === undefined && password === undefined) return null;
  if (user === undefined || password === undefined) {
    throw refused("one of SLUICE_NATS_USER and SLUICE_NATS_PASSWORD is set; expected both");
  }
  return { kind: "user", user, password };
}

function seedIn(path: string): string {
  const seed = /^SU[A-Z2-7]{56}$/m.exec(readSetting("SLUICE_NATS_NKEY", path))?.[0];
  if (seed === undefined)
    throw refused(`${path} in SLUICE_NATS_NKEY holds no seed of a user; expected a line SU…, as \`nk -gen user\` makes it`);
  return seed;
}

function credsIn(path: string): string {
  const creds = readSetting("SLUICE_NATS_CREDS", path);
  if (/BEGIN NATS USER JWT/.test(creds) && /BEGIN USER NKEY SEED/.test(creds)) return creds;
  throw refused(
    `${path} in SLUICE_NATS_CREDS is no credentials file; expected a user's JWT and seed, as \`nsc generate creds\` makes it`,
  );
}

/** A secret itself, or where `<name>_FILE` says. */
function secret(environment: Environment, name: string): string | undefined {
  const [plain, path] = [environment[name], environment[`${name}_FILE`]];
  if (path === undefined) return plain;
  if (plain !== undefined) throw refused(`${name} and ${name}_FILE are both set; expected one of them`);
  return readSetting(`${name}_FILE`, path).replace(/\r?\n$/, "");
}

function certificate(name: string, path: string, kind: CertificateFile): string {
  try {
    return readCertificateFile(path, kind);
  } catch (cause) {
    throw refused(`${name}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

function readSetting(name: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw refused(`${path} in ${name} can't be read: ${(cause as NodeJS.ErrnoException).code ?? String(cause)}`);
  }
}

function refused(message: string): Halt {
  return new Halt("SLU-002", message);
}
