import { pass, warn, type Look } from "../precheck.ts";
import { busCheck } from "./bus-check.ts";

export function judgePowerLoss(replicas: number): Look {
  if (replicas >= 3) return pass(`${replicas} copies: one server may lose its power`);
  return warn(
    `${replicas === 1 ? "one copy" : `${replicas} copies`} of the stream: a power loss may take the newest part of it`,
  );
}

export const busPowerLoss = busCheck(
  {
    id: "bus-power-loss",
    title: "What is stored on the bus outlives a power loss",
    why: "A nats-server writes to its disk at once and flushes every two minutes (`sync_interval`, which it does not tell to clients). A power loss takes what is not flushed: it costs a rewind or another copy, never silence.",
    expected: "three copies on servers with power of their own",
    fix: "Run three nats-servers and set SLUICE_STREAM_REPLICAS=3; or put `sync_interval: always` into the `jetstream` block, at the cost of speed. Bear with it where another copy is no harm.",
    warns: "streams have fewer than three copies",
    fails: null,
    code: "BUS-003",
  },
  ({ replicas }) => judgePowerLoss(replicas),
);
