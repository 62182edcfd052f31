import { beMember, Bus, Leases } from "@sluice/bus";
import { runService, supervise } from "@sluice/runtime";
import { RouterService } from "./router-service.ts";

runService("router", async ({ config, log, clock, stopping }) => {
  const bus = await Bus.connect({ url: config.natsUrl, name: `router ${config.instance}`, log });
  const leases = new Leases(bus.records, config.instance, clock, log);
  const member = beMember(bus.records, "router", config.instance, clock, stopping);
  const router = new RouterService({ records: bus.records, leases, clock, log });
  await supervise(router, stopping, clock, log);
  await member;
  leases.close();
  await bus.close();
});
