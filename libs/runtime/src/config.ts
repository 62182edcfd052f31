import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { Halt } from "./fault.ts";

/** What every service needs to know to start, from the environment. */
export interface ServiceConfig {
  /** `SLUICE_NATS_URL`: one or several servers, separated by commas. */
  readonly natsUrl: string;
  /** `SLUICE_INSTANCE`: name of this instance; a random one is made where it is not set. */
  readonly instance: string;
  /** `SLUICE_LOG_LEVEL`: trace, debug, info, warn, error. */
  readonly logLevel: string;
  /** `SLUICE_SECRET_KEY`: seals secrets in records; 64 hexadecimal digits. Null where it is not set. */
  readonly secretKey: Buffer | null;
}

const INSTANCE = /^[a-zA-Z0-9_-]{1,64}$/;
const LEVELS = ["trace", "debug", "info", "warn", "error", "silent"];

/** Reads the configuration that all services share. Throws `Halt` SLU-002 that names the setting. */
export function readServiceConfig(environment: NodeJS.ProcessEnv): ServiceConfig {
  const natsUrl = environment["SLUICE_NATS_URL"] ?? "nats://127.0.0.1:4222";
  const instance = environment["SLUICE_INSTANCE"] ?? `${hostname().replace(/[^a-zA-Z0-9_-]/g, "-")}-${randomBytes(3).toString("hex")}`;
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
  return { natsUrl, instance, logLevel, secretKey: key === undefined ? null : Buffer.from(key, "hex") };
}
