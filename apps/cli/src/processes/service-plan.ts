import { fileURLToPath } from "node:url";
import type { DataDirectory } from "./data-directory.ts";
import type { ProcessPlan } from "./process-plan.ts";

export const services = ["ingest", "router", "writer", "coordinator"] as const;
export type ServiceName = (typeof services)[number];

/** URL of the program of a service. */
export function serviceMain(service: ServiceName): string {
  return import.meta.resolve(`@sluice/${service}/main`);
}

/** Of a bus that the operator runs: the one of `sluice run` is on loopback and knows none of it. */
const ACCESS_SETTINGS = "CA CERT KEY SERVER_NAME INSECURE USER PASSWORD PASSWORD_FILE TOKEN TOKEN_FILE NKEY CREDS"
  .split(" ")
  .map((name) => `SLUICE_NATS_${name}`);

export interface ServiceSettings {
  readonly directory: DataDirectory;
  readonly natsUrl: string;
  readonly secretKey: string;
  readonly logLevel: string;
  /** Where the coordinator listens, `host:port`. */
  readonly api: string;
}

/** A service instance as a child of this process, run by the same Node with the same flags. */
export function planService(service: ServiceName, instance: string, settings: ServiceSettings): ProcessPlan {
  const { directory, natsUrl, secretKey, logLevel, api } = settings;
  return {
    name: instance,
    command: process.execPath,
    // The two last arguments are for people and for finding what a killed run has left behind.
    args: [...process.execArgv, fileURLToPath(serviceMain(service)), instance, directory.path],
    env: {
      ...Object.fromEntries(ACCESS_SETTINGS.map((name) => [name, ""])),
      SLUICE_NATS_URL: natsUrl,
      SLUICE_INSTANCE: instance,
      SLUICE_LOG_LEVEL: logLevel,
      SLUICE_SECRET_KEY: secretKey,
      // One address can't serve them all; the API has the figures of every pipeline.
      SLUICE_METRICS_LISTEN: "",
      ...(service === "coordinator" ? { SLUICE_API_LISTEN: api } : {}),
    },
    logFile: directory.logFile(instance),
    parentLoss: "channel",
    stopLimitMs: 12_000,
  };
}
