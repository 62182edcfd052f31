import { Bus } from "@sluice/bus";
import { persist, runService } from "@sluice/runtime";
import { runIngest } from "./ingest-service.ts";

runService("ingest", async (context) => {
  const { config, log, clock, stopping } = context;
  const bus = await persist(() => Bus.connect({ url: config.natsUrl, name: `ingest ${config.instance}`, log }), { clock, signal: stopping });
  await runIngest(context, bus);
  await bus.close();
});
