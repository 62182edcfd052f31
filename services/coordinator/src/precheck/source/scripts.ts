import { pass, warn, type Look } from "../precheck.ts";
import type { ServerState } from "../probe/server-state.ts";
import { callsText } from "../quantity.ts";
import { eachSourceServer } from "../server-check.ts";

/** From here on effects are replicated unless `lua-replicate-commands no` says otherwise (5.0 config.c). */
const EFFECTS_SINCE = 50_000;
/** From here on always (7.0 script.c). */
const ALWAYS_EFFECTS_SINCE = 70_000;
const SCRIPTS = ["EVAL", "EVALSHA"];

/** `setting`: `lua-replicate-commands`; null where there is none. */
export function judgeScripts(state: Pick<ServerState, "version" | "product" | "calls">, setting: string | null): Look {
  const used = [...state.calls].filter(([command]) => SCRIPTS.includes(command));
  if (state.version >= ALWAYS_EFFECTS_SINCE || (state.version >= EFFECTS_SINCE && setting !== "no")) {
    return pass(`${state.product} replicates what scripts do`);
  }
  const found = `${state.product}${setting === "no" ? " with lua-replicate-commands no" : ""} replicates scripts word for word`;
  return used.length === 0 ? pass(`${found}, and no client uses any`) : warn(`${found}, and clients use ${callsText(used)}`);
}

export const sourceScripts = eachSourceServer(
  {
    id: "source-scripts",
    title: "The source replicates what its scripts do, not the scripts",
    why: "A script that is run again elsewhere may do something else: it may read keys that are not there, the time, or a random number. In a cluster its keys may be on several nodes. EVALSHA is sent on as EVAL, so that the destination need not know the script; what was loaded before ingest came or began anew it has to know, or its lane halts (NOSCRIPT, DST-004).",
    expected: "Redis 5 or newer with lua-replicate-commands yes, or no scripts",
    fix: "`CONFIG SET lua-replicate-commands yes` (5.0 to 6.2); before 5.0 let scripts begin with `redis.replicate_commands()`, or stop the clients that use them.",
    warns: "scripts are used and replicated word for word (before 5.0, or with lua-replicate-commands no)",
    fails: null,
    code: "SRC-022",
  },
  async (server) => {
    const state = await server.state();
    const isAsked = state.version >= EFFECTS_SINCE && state.version < ALWAYS_EFFECTS_SINCE;
    return judgeScripts(state, isAsked ? await server.setting("lua-replicate-commands") : null);
  },
);
