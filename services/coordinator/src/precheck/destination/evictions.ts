import { pass, warn, type Look } from "../precheck.ts";
import type { ServerState } from "../probe/server-state.ts";
import { bytesText } from "../quantity.ts";
import { eachDestinationServer } from "../server-check.ts";

/** `policy`: maxmemory-policy. */
function judgeEvictions(state: Pick<ServerState, "number">, policy: string): Look {
  const max = state.number("maxmemory") ?? 0;
  const evicted = state.number("evicted_keys") ?? 0;
  const found = `maxmemory-policy ${policy}, ${max === 0 ? "no maxmemory" : `maxmemory ${bytesText(max)}`}, ${evicted} keys evicted so far`;
  if (policy === "noeviction") return pass(found);
  return max === 0 && evicted === 0 ? pass(`${found}: nothing is evicted without maxmemory`) : warn(found);
}

export const destinationEvictions = eachDestinationServer(
  {
    id: "destination-evictions",
    title: "No destination evicts keys",
    why: "A server that evicts when it is full deletes what was copied, and nobody is told. With noeviction the pipeline waits instead, and nothing is lost.",
    expected: "maxmemory-policy noeviction while the pipeline runs",
    fix: "`CONFIG SET maxmemory-policy noeviction` on every node, and set the old policy back after the cut-over.",
    warns: "maxmemory is set with another policy than noeviction",
    fails: null,
    code: "DST-016",
  },
  async (server) => {
    const state = await server.state();
    const told = state.text("maxmemory_policy");
    return judgeEvictions(state, told === "" ? ((await server.setting("maxmemory-policy")) ?? "unknown") : told);
  },
);
