import { readFileSync } from "node:fs";
import { beMember, connectBus, Leases } from "@sluice/bus";
import { Meters, runService, supervise } from "@sluice/runtime";
import { createApi } from "./api/api-server.ts";
import { listenApi } from "./api/listen-api.ts";
import { isLoopback, readApiSettings } from "./config.ts";
import { CoordinatorService } from "./coordinator-service.ts";

runService("coordinator", async (context) => {
  const { config, log, clock, stopping, meters = new Meters() } = context;
  const settings = readApiSettings(process.env, (path) => readFileSync(path, "utf8"));
  const bus = await connectBus("coordinator", context);
  const { records } = bus;
  const { secretKey } = config;
  const leases = new Leases(records, config.instance, clock, log);
  const member = beMember(records, "coordinator", config.instance, clock, stopping);
  const streamOf = (pipeline: string) => bus.stream(pipeline);
  const busFacts = async (pipeline: string) => bus.facts(pipeline);
  const deps = { records, streamOf, busFacts, secretKey, clock, log };
  const coordinator = new CoordinatorService({ ...deps, leases });
  const api = createApi({ ...deps, active: () => coordinator.active, settings, meters });
  log.info({ address: await listenApi(api, settings.listen) }, "API listens");
  if (settings.tls === null && !isLoopback(settings.listen.host)) {
    log.warn("the API's token travels in plain text: set SLUICE_API_CERT and SLUICE_API_KEY, or put TLS in front of it");
  }
  await supervise(coordinator, stopping, clock, log);
  await api.close();
  await member;
  leases.close();
  await bus.close();
});
