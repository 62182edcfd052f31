import { connectBus } from "@sluice/bus";
import { runService } from "@sluice/runtime";
import { runWriter } from "./writer-service.ts";

runService("writer", async (context) => {
  const bus = await connectBus("writer", context);
  await runWriter(context, bus);
  await bus.close();
});
