import { pass, warn, type Look } from "../precheck.ts";
import { versionOf } from "../probe/server-state.ts";
import { busCheck } from "./bus-check.ts";

const GOOD_SINCE = 21_203;

export function judgeBusVersion(version: string): Look {
  const found = `nats-server ${version}`;
  return versionOf(version) >= GOOD_SINCE ? pass(found) : warn(found);
}

export const busVersion = busCheck(
  {
    id: "bus-version",
    title: "The nats-server is a recent one",
    why: "Releases before 2.12.3 have faults that lose messages or stall a stream when servers of a cluster fail. Nothing newer than 2.9 is needed otherwise.",
    expected: "nats-server 2.12.3 or newer",
    fix: "Upgrade the nats-servers one after the other.",
    warns: "it is older than 2.12.3",
    fails: null,
    code: "BUS-003",
  },
  ({ serverVersion }) => judgeBusVersion(serverVersion),
);
