import type { BusFacts } from "@sluice/bus";
import { fail, pass, type Look } from "../precheck.ts";
import { busCheck } from "./bus-check.ts";

export function judgeJetStream({ jetStream, jetStreamFailure }: Pick<BusFacts, "jetStream" | "jetStreamFailure">): Look {
  if (jetStream === null) return fail(`JetStream does not answer: ${jetStreamFailure ?? "it is off"}`);
  const { streams, streamCountLimit } = jetStream;
  const found = `JetStream answers; ${streams} streams${streamCountLimit === null ? "" : ` of at most ${streamCountLimit}`}`;
  if (streamCountLimit === null || streams < streamCountLimit) return pass(found);
  return fail(found, {
    code: "BUS-005",
    expected: "room for one more stream",
    fix: "Raise `max_streams` of the account, or delete pipelines that are over.",
  });
}

export const busJetstream = busCheck(
  {
    id: "bus-jetstream",
    title: "JetStream is on and takes another stream",
    why: "Each pipeline keeps its changes in a stream of its own.",
    expected: "JetStream enabled for the account",
    fix: "Put a `jetstream { store_dir: … }` block into nats-server.conf, enable it for the account, and restart the nats-server.",
    warns: null,
    fails: "JetStream is off or does not answer, or the account has no room for another stream",
    code: "BUS-001",
    ifUnknown: "fail",
  },
  (facts) => judgeJetStream(facts),
);
