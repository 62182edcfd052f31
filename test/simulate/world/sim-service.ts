import { Leases, beMember, type Bus } from "@sluice/bus";
import { lookAtDeployment } from "@sluice/redis";
import { supervise, type Clock, type Logger, type ServiceContext } from "@sluice/runtime";
import { endpointOf } from "@sluice/wire";
import { runIngest } from "../../../services/ingest/src/ingest-service.ts";
import { RouterService } from "../../../services/router/src/router-service.ts";
import { runWriter } from "../../../services/writer/src/writer-service.ts";

export const SERVICES = ["ingest", "writer", "router"] as const;
export type ServiceName = (typeof SERVICES)[number];

interface ServiceSurroundings {
  readonly instance: string;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Runs a service as its `main` does, for ever. Rejects with what would end its process. */
export async function runSimService(service: ServiceName, { instance, bus, clock, log }: ServiceSurroundings): Promise<void> {
  const context: ServiceContext = {
    config: {
      natsUrl: "",
      instance,
      logLevel: "silent",
      secretKey: null,
      streamReplicas: 1,
      natsAccess: { tls: null, auth: null },
    },
    log,
    clock,
    stopping: new AbortController().signal,
  };
  if (service === "ingest") return runIngest(context, bus);
  if (service === "writer") return runWriter(context, bus);
  return runRouter(context, bus);
}

async function runRouter({ config, log, clock, stopping }: ServiceContext, bus: Bus): Promise<void> {
  const leases = new Leases(bus.records, config.instance, clock, log);
  const member = beMember(bus.records, "router", config.instance, clock, stopping);
  const open: ConstructorParameters<typeof RouterService>[0]["open"] = (spec) =>
    endpointOf(
      spec,
      () => "",
      () => "",
    );
  const router = new RouterService({ records: bus.records, leases, clock, log, open, look: lookAtDeployment });
  await supervise(router, stopping, clock, log);
  await member;
}
