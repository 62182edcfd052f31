import { Bus } from "@sluice/bus";
import { persist, runService } from "@sluice/runtime";
import { runWriter } from "./writer-service.ts";

runService("writer", async (context) => {
  const { config, log, clock, stopping } = context;
  const bus = await persist(() => Bus.connect({ url: config.natsUrl, name: `writer ${config.instance}`, log }), { clock, signal: stopping });
  await runWriter(context, bus);
  await bus.close();
});
