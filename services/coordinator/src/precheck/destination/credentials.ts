import { acceptance } from "../endpoint-checks.ts";
import type { Precheck, PrecheckText } from "../precheck.ts";
import { eachDestination } from "../server-check.ts";

const text: PrecheckText = {
  id: "destination-credentials",
  title: "Every server of the destinations accepts the credentials",
  why: "Writers connect to every primary, and after a failover to those that are replicas now.",
  expected: "a user that may connect and ask INFO",
  fix: "Set `user` and `password` of the destination; nodes that have others, in `nodes`. See `sluice explain DST-002` for what the user needs.",
  warns: null,
  fails: "a server refuses the user, the password, or INFO",
  code: "DST-002",
  ifUnknown: "fail",
  isGate: true,
};

export const destinationCredentials: Precheck = {
  ...text,
  run: async (context) => eachDestination(context, text, async (one) => acceptance(one, "DST-002")),
};
