import { fail, pass, warn, type Look } from "../precheck.ts";
import { bytesText } from "../quantity.ts";
import { busCheck } from "./bus-check.ts";

const LEAST_BYTES = 64 * 2 ** 10;
const GOOD_BYTES = 2 ** 20;

export function judgeMaxPayload(maxPayloadBytes: number): Look {
  const found = `max_payload ${bytesText(maxPayloadBytes)}`;
  if (maxPayloadBytes < LEAST_BYTES) return fail(found);
  return maxPayloadBytes < GOOD_BYTES ? warn(`${found}: large values go in many parts`) : pass(found);
}

export const busMaxPayload = busCheck(
  {
    id: "bus-max-payload",
    title: "NATS takes messages of a good size",
    why: "A batch is one message. Small ones make the pipeline slow, and large values go in many parts.",
    expected: "max_payload of 1 MiB or more",
    fix: "Set `max_payload: 1MB` (or up to 8MB) in every nats-server.conf and reload.",
    warns: `it is below ${bytesText(GOOD_BYTES)}`,
    fails: `it is below ${bytesText(LEAST_BYTES)}`,
    code: "BUS-009",
  },
  ({ maxPayloadBytes }) => judgeMaxPayload(maxPayloadBytes),
);
