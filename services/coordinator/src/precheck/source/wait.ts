import { pass, warn, type Look } from "../precheck.ts";
import { eachSourceServer } from "../server-check.ts";

function judgeWait(calls: number, replicas: number): Look {
  if (calls === 0) return pass("no client uses WAIT");
  const found = `WAIT was called ${calls} times, and there are ${replicas} replicas besides Sluice`;
  return replicas === 0 ? warn(found) : pass(found);
}

export const sourceWait = eachSourceServer(
  {
    id: "source-wait",
    title: "Clients that WAIT for replicas have some",
    why: "Sluice is in the source's list of replicas and vouches for nothing: WAIT, WAITAOF and FAILOVER never count it, so that a client which waits for it waits in vain.",
    expected: "a replica of the source's own where clients use WAIT",
    fix: "Give the source the replicas that its clients wait for; Sluice can't stand in for one.",
    warns: "clients use WAIT at a server that has no replica of its own",
    fails: null,
    code: "SRC-003",
  },
  async (server) => {
    const { calls, replicas } = await server.state();
    return judgeWait((calls.get("WAIT") ?? 0) + (calls.get("WAITAOF") ?? 0), replicas);
  },
);
