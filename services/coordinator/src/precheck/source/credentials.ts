import { acceptance } from "../endpoint-checks.ts";
import type { Precheck } from "../precheck.ts";

export const sourceCredentials: Precheck = {
  id: "source-credentials",
  title: "Every server of the source accepts the credentials",
  why: "Sluice links to every primary, and after a failover to those that are replicas now.",
  expected: "a user that may connect and ask INFO",
  fix: "Set `user` and `password` of the source; nodes that have others, in `nodes`. See `sluice explain SRC-002` for what the user needs.",
  warns: null,
  fails: "a server refuses the user, the password, or INFO",
  code: "SRC-002",
  ifUnknown: "fail",
  isGate: true,
  run: async ({ source }) => acceptance(source, "SRC-002"),
};
