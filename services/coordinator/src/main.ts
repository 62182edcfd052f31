import { beMember, connectBus, Leases } from "@sluice/bus";
import { runService, supervise } from "@sluice/runtime";
import { createApi } from "./api/api-server.ts";
import { listenApi } from "./api/listen-api.ts";
import { readListenAddress } from "./config.ts";
import { CoordinatorService } from "./coordinator-service.ts";

runService("coordinator", async (context) => {
  const { config, log, clock, stopping } = context;
  const listen = readListenAddress(process.env);
  const bus = await connectBus("coordinator", context);
  const { records } = bus;
  const { secretKey } = config;
  const leases = new Leases(records, config.instance, clock, log);
  const member = beMember(records, "coordinator", config.instance, clock, stopping);
  const deps = { records, streamOf: (pipeline: string) => bus.stream(pipeline), secretKey, clock, log };
  const coordinator = new CoordinatorService({ ...deps, leases });
  const api = createApi({ ...deps, active: () => coordinator.active });
  log.info({ address: await listenApi(api, listen) }, "API listens");
  await supervise(coordinator, stopping, clock, log);
  await api.close();
  await member;
  leases.close();
  await bus.close();
});
