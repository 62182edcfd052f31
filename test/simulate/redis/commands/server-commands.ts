import type { Call } from "../call.ts";
import { globMatcher } from "../glob.ts";
import { infoText } from "../info-text.ts";
import { command, type SimCommand } from "../sim-command.ts";
import { bulk, bulks, EMPTY, integer, list, NIL, OK, Refusal, status, type Encoded } from "../sim-reply.ts";

const CONFIGURATION: Readonly<Record<string, string>> = {
  appendonly: "no",
  databases: "16",
  maxmemory: "0",
  "maxmemory-policy": "noeviction",
  "min-replicas-to-write": "0",
  "proto-max-bulk-len": "536870912",
  "repl-diskless-sync": "no",
  "repl-ping-replica-period": "10",
  "repl-timeout": "60",
  save: "",
};

function configuration(call: Call): Encoded {
  const { options, cluster } = call.server;
  const own = {
    ...CONFIGURATION,
    "cluster-enabled": cluster === null ? "no" : "yes",
    port: String(options.port),
    "repl-backlog-size": String(options.backlogBytes ?? 1_048_576),
  };
  if (call.word(1) === "SET" || call.word(1) === "RESETSTAT") return OK;
  if (call.word(1) !== "GET") throw new Refusal(`ERR unknown subcommand '${call.arg(1)}'. Try CONFIG HELP.`);
  const matchers = call.args.slice(2).map((pattern) => globMatcher(pattern.toLowerCase()));
  return bulks(
    Object.entries(own)
      .filter(([name]) => matchers.some((matches) => matches(name)))
      .flat(),
  );
}

function role({ server }: Call): Encoded {
  const { log, primaryLink, replicas } = server;
  if (primaryLink !== null) {
    const { primary, isLinked } = primaryLink;
    const state = isLinked ? "connected" : "connect";
    return list([bulk("slave"), bulk(primary.host), integer(primary.port), bulk(state), integer(log.offset)]);
  }
  const linked = replicas.filter(({ isLinked }) => isLinked);
  const shown = linked.map((replica) =>
    bulks([replica.server.host, String(replica.server.port), String(replica.server.log.offset)]),
  );
  return list([bulk("master"), integer(log.offset), list(shown)]);
}

function functions(call: Call): Encoded {
  switch (call.word(1)) {
    case "FLUSH":
    case "RESTORE":
      call.dirty++;
      return OK;
    case "LIST":
      return EMPTY;
    case "DUMP":
      return NIL;
    default:
      throw new Refusal(`ERR unknown subcommand '${call.arg(1)}'. Try FUNCTION HELP.`);
  }
}

function time({ nowMs }: Call): Encoded {
  return bulks([String(Math.floor(nowMs / 1000)), String((nowMs % 1000) * 1000)]);
}

/** Commands about the server. */
export const serverCommands: readonly SimCommand[] = [
  command("info", -1, "lt", null, (call) => bulk(infoText(call.server, call.args.slice(1)))),
  command("config", -2, "slt", null, configuration),
  command("role", 1, "slt", null, role),
  command("time", 1, "lt", null, time),
  command("lastsave", 1, "lt", null, ({ nowMs }) => integer(Math.floor(nowMs / 1000))),
  command("function", -2, "ws", null, functions),
  command("memory", -2, "r", null, () => integer(64)),
  command("bgsave", -1, "s", null, ({ server }) => {
    server.checkpoint();
    return status("Background saving started");
  }),
];
