import { describeFault, persist, type ServiceContext } from "@sluice/runtime";
import { Bus } from "./bus.ts";

/** The bus of a service, which waits for it for as long as it is away. Throws `Stopped` when the service is asked to stop meanwhile. */
export async function connectBus(service: string, { config, clock, log, stopping }: ServiceContext): Promise<Bus> {
  const { natsUrl: url, instance, streamReplicas: replicas } = config;
  return persist(() => Bus.connect({ url, name: `${service} ${instance}`, log, replicas }), {
    clock,
    signal: stopping,
    onWaiting: (fault) => {
      if (fault !== null) log.warn({ code: fault.code, remedy: fault.remedy }, `waiting for NATS: ${describeFault(fault)}`);
    },
  });
}
