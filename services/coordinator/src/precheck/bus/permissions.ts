import { fail, pass, type Look } from "../precheck.ts";
import { listText } from "../quantity.ts";
import { busCheck } from "./bus-check.ts";

export function judgePermissions(refused: readonly string[]): Look {
  return refused.length === 0 ? pass("all that is needed is allowed") : fail(`may not publish to ${listText(refused)}`);
}

export const busPermissions = busCheck(
  {
    id: "bus-permissions",
    title: "The NATS user may make, read, write and trim the pipeline's stream",
    why: "What is forbidden fails later, in the middle of the work.",
    expected: "permission to publish to $JS.API.>, $KV.sluice.> and sluice.>, and to subscribe to _INBOX.>",
    fix: "Give the user these permissions in nats-server.conf, or in its account's JWT.",
    warns: null,
    fails: "a subject that is needed is refused",
    code: "BUS-008",
    ifUnknown: "fail",
  },
  ({ refusedSubjects }) => judgePermissions(refusedSubjects),
);
