import { beMember, connectBus, Leases } from "@sluice/bus";
import { lookAtDeployment } from "@sluice/redis";
import { openSecret, readCertificateFile, runService, supervise } from "@sluice/runtime";
import { endpointOf, type EndpointSpec } from "@sluice/wire";
import { RouterService } from "./router-service.ts";

runService("router", async (context) => {
  const { config, log, clock, stopping } = context;
  const bus = await connectBus("router", context);
  const leases = new Leases(bus.records, config.instance, clock, log);
  const member = beMember(bus.records, "router", config.instance, clock, stopping);
  const open = (spec: EndpointSpec) => endpointOf(spec, (sealed) => openSecret(sealed, config.secretKey), readCertificateFile);
  const router = new RouterService({ records: bus.records, leases, clock, log, open, look: lookAtDeployment });
  await supervise(router, stopping, clock, log);
  await member;
  leases.close();
  await bus.close();
});
