import { pass, warn, type Look } from "../precheck.ts";
import type { ServerState } from "../probe/server-state.ts";
import { eachDestinationServer } from "../server-check.ts";

/** `save`: the setting; null where it is not told. */
function judgePersistence(state: Pick<ServerState, "text" | "replicas">, save: string | null): Look {
  const hasAof = state.text("aof_enabled") === "1";
  const found = `${hasAof ? "AOF on" : "AOF off"}, ${save === null ? "snapshots unknown" : save === "" ? "no snapshots" : `snapshots (${save})`}, ${state.replicas} replicas`;
  if (hasAof || state.replicas > 0) return pass(found);
  if (save !== null && save !== "") {
    return warn(`${found}: a restart goes back to the last snapshot`, { expected: "AOF, or a replica" });
  }
  return warn(`${found}: a restart loses everything`);
}

export const destinationPersistence = eachDestinationServer(
  {
    id: "destination-persistence",
    title: "A destination keeps what was written when it restarts",
    why: "What a destination loses in a restart or a failover Sluice notices and brings again, from its stream or by another copy; until then it is not there.",
    expected: "AOF, or replicas that take over",
    fix: "`CONFIG SET appendonly yes` on every node, or give each primary a replica. Bear with it where the destination is a cache.",
    warns: "neither AOF nor a replica: a restart goes back to the last snapshot, or loses everything",
    fails: null,
    code: "DST-008",
  },
  async (server) => {
    const state = await server.state();
    const isSafe = state.text("aof_enabled") === "1" || state.replicas > 0;
    return judgePersistence(state, isSafe ? null : await server.setting("save"));
  },
);
