import type { Bus, LaneStream } from "@sluice/bus";
import type { SimProcess } from "../world/sim-process.ts";
import type { Broker } from "./broker.ts";
import { SimRecords } from "./sim-records.ts";
import { SimStream } from "./sim-stream.ts";

/** Small, so that batches fill, and units and values come in parts. */
const MAX_BATCH_BYTES = 1_400;

/** The bus as one process of a world holds it. */
export function busOf(broker: Broker, owner: SimProcess): Bus {
  const records = new SimRecords(broker, owner);
  const bus = {
    records,
    maxBatchBytes: MAX_BATCH_BYTES,
    stream: (pipeline: string) => new SimStream(broker, owner, pipeline) as unknown as LaneStream,
    close: async () => records.close(),
  };
  return bus as unknown as Bus;
}
