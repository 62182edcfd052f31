import { describeFault, persist, type ServiceContext } from "@sluice/runtime";
import { Bus } from "./bus.ts";
import { busMeter } from "./bus-meter.ts";

/**
 * The bus of a service, which waits for it for as long as it is away. Throws `Stopped` when the service is asked to stop meanwhile, and what
 * `Bus.connect` throws where waiting is of no use.
 */
export async function connectBus(service: string, context: ServiceContext): Promise<Bus> {
  const { config, clock, log, stopping, meters } = context;
  const { natsUrl: url, natsAccess: access, instance, streamReplicas: replicas } = config;
  let bus: Bus | null = null;
  meters?.add(busMeter(service, () => bus));
  bus = await persist(() => Bus.connect({ url, access, name: `${service} ${instance}`, log, replicas }), {
    clock,
    signal: stopping,
    onWaiting: (fault) => {
      if (fault !== null) log.warn({ code: fault.code, remedy: fault.remedy }, `waiting for NATS: ${describeFault(fault)}`);
    },
  });
  return bus;
}
