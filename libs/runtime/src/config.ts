import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { Halt } from "./fault.ts";
import { readNatsAccess, type NatsAccess } from "./nats-access.ts";

/** What every service needs to know to start, from the environment. */
export interface ServiceConfig {
  /** `SLUICE_NATS_URL`: one or several servers, separated by commas. */
  readonly natsUrl: string;
  /** The other settings `SLUICE_NATS_…`: TLS and credentials. */
  readonly natsAccess: NatsAccess;
  /** `SLUICE_INSTANCE`: name of this instance; a random one is made where it is not set. */
  readonly instance: string;
  /** `SLUICE_LOG_LEVEL`: trace, debug, info, warn, error. */
  readonly logLevel: string;
  /** `SLUICE_SECRET_KEY`: seals secrets in records; 64 hexadecimal digits. Null where it is not set. */
  readonly secretKey: Buffer | null;
  /** `SLUICE_STREAM_REPLICAS`: servers of the NATS cluster that keep a copy of each stream and of the records, 1 to 5. */
  readonly streamReplicas: number;
}

const INSTANCE = /^[a-zA-Z0-9_-]{1,64}$/;
const LEVELS = ["trace", "debug", "info", "warn", "error", "silent"];

/** Reads the configuration that all services share. `host`: after which an instance without a name is called. Throws `Halt` SLU-002 that names the setting. */
export function readServiceConfig(environment: NodeJS.ProcessEnv, host = hostname()): ServiceConfig {
  const natsUrl = environment["SLUICE_NATS_URL"] ?? "nats://127.0.0.1:4222";
  if (natsUrl.split(",").some((server) => server.trim() === "")) {
    throw new Halt(
      "SLU-002",
      "SLUICE_NATS_URL names no server, or an empty one; expected nats://host:port, several separated by commas",
    );
  }
  const instance = environment["SLUICE_INSTANCE"] ?? randomInstance(host);
  if (!INSTANCE.test(instance)) {
    throw new Halt("SLU-002", `SLUICE_INSTANCE is ${JSON.stringify(instance)}; expected 1 to 64 letters, digits, - or _`);
  }
  const logLevel = environment["SLUICE_LOG_LEVEL"] ?? "info";
  if (!LEVELS.includes(logLevel)) {
    throw new Halt("SLU-002", `SLUICE_LOG_LEVEL is ${JSON.stringify(logLevel)}; expected one of ${LEVELS.join(", ")}`);
  }
  const key = environment["SLUICE_SECRET_KEY"];
  if (key !== undefined && !/^[0-9a-fA-F]{64}$/.test(key)) {
    throw new Halt("SLU-002", "SLUICE_SECRET_KEY is not 64 hexadecimal digits (32 random bytes)");
  }
  const replicas = environment["SLUICE_STREAM_REPLICAS"] ?? "1";
  if (!/^[1-5]$/.test(replicas)) {
    throw new Halt("SLU-002", `SLUICE_STREAM_REPLICAS is ${JSON.stringify(replicas)}; expected a whole number from 1 to 5`);
  }
  const secretKey = key === undefined ? null : Buffer.from(key, "hex");
  const natsAccess = readNatsAccess(environment, natsUrl);
  return { natsUrl, natsAccess, instance, logLevel, secretKey, streamReplicas: Number(replicas) };
}

/** Names of hosts may be as long as names of instances. */
function randomInstance(host: string): string {
  const name = host.replace(/[^a-zA-Z0-9_-]/g, "-").slice(0, 50);
  return `${name}-${randomBytes(3).toString("hex")}`;
}
