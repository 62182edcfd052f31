import { connectBus } from "@sluice/bus";
import { runService } from "@sluice/runtime";
import { runIngest } from "./ingest-service.ts";

runService("ingest", async (context) => {
  const bus = await connectBus("ingest", context);
  await runIngest(context, bus);
  await bus.close();
});
