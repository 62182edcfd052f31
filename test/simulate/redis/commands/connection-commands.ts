import type { Call } from "../call.ts";
import { DATABASES } from "../keyspace.ts";
import { command, type SimCommand } from "../sim-command.ts";
import { bulk, bulks, EMPTY, failure, integer, list, NIL, OK, Refusal, status, type Encoded } from "../sim-reply.ts";

function select(call: Call): Encoded {
  const db = Number(call.int(1));
  if (call.server.cluster !== null && db !== 0) throw new Refusal("ERR SELECT is not allowed in cluster mode");
  if (db < 0 || db >= DATABASES) throw new Refusal("ERR DB index is out of range");
  call.client.db = db;
  return OK;
}

function authenticate(call: Call): Encoded {
  const { password } = call.server.options;
  const [user, given] = call.args.length === 3 ? [call.arg(1), call.arg(2)] : ["default", call.arg(1)];
  if (password === undefined && call.args.length === 2) {
    throw new Refusal(
      "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
    );
  }
  if (user !== "default" || (password !== undefined && given !== password)) {
    throw new Refusal("WRONGPASS invalid username-password pair or user is disabled.");
  }
  call.client.isAuthenticated = true;
  return OK;
}

function describe(call: Call): Encoded {
  const { client, server } = call;
  return bulk(
    `id=${client.id} addr=${server.host}:0 laddr=${server.host}:${server.port} name=${client.name} db=${client.db}\n`,
  );
}

function killClients(call: Call): Encoded {
  if (call.word(2) !== "ID") throw new Refusal("ERR syntax error");
  const found = [...call.server.sessions].filter(({ client }) => client.id === Number(call.arg(3)) && client !== call.client);
  for (const session of found) session.hangUp();
  return integer(found.length);
}

function client(call: Call): Encoded {
  switch (call.word(1)) {
    case "SETNAME":
      if (/[^!-~]/.test(call.arg(2)))
        throw new Refusal("ERR Client names cannot contain spaces, newlines or special characters.");
      call.client.name = call.arg(2);
      return OK;
    case "GETNAME":
      return call.client.name === "" ? NIL : bulk(call.client.name);
    case "ID":
      return integer(call.client.id);
    case "INFO":
    case "LIST":
      return describe(call);
    case "KILL":
      return killClients(call);
    case "NO-EVICT":
    case "PAUSE":
    case "UNPAUSE":
      return OK;
    default:
      return failure(`ERR unknown subcommand '${call.arg(1)}'. Try CLIENT HELP.`);
  }
}

function reset(call: Call): Encoded {
  call.client.endTransaction();
  call.client.db = 0;
  call.client.name = "";
  call.client.isAuthenticated = false;
  call.client.isReading = false;
  return status("RESET");
}

function wait(call: Call): Encoded {
  const { log, sessions, replicas } = call.server;
  const posing = [...sessions].filter(({ feed }) => feed !== null && feed.acknowledged >= log.offset);
  const own = replicas.filter(({ isLinked, behind }) => isLinked && behind === 0);
  return integer(posing.length + own.length);
}

function setFlag(flag: "isAsking" | "isReading", value: boolean): (call: Call) => Encoded {
  return (call) => {
    if (call.server.cluster === null) throw new Refusal("ERR This instance has cluster support disabled");
    call.client[flag] = value;
    return OK;
  };
}

/** Commands about the connection itself. */
export const connectionCommands: readonly SimCommand[] = [
  command("ping", -1, "", null, (call) => {
    if (call.args.length > 2) throw new Refusal("ERR wrong number of arguments for 'ping' command");
    return call.args.length === 2 ? bulk(call.arg(1)) : status("PONG");
  }),
  command("echo", 2, "lt", null, (call) => bulk(call.arg(1))),
  command("select", 2, "lt", null, select),
  command("auth", -2, "sltb", null, authenticate),
  command("hello", -1, "sltb", null, () => failure("NOPROTO unsupported protocol version")),
  command("quit", -1, "sltb", null, () => OK),
  command("reset", 1, "sltb", null, reset),
  command("client", -2, "slt", null, client),
  command("wait", 3, "s", null, wait),
  command("asking", 1, "", null, setFlag("isAsking", true)),
  command("readonly", 1, "lt", null, setFlag("isReading", true)),
  command("readwrite", 1, "lt", null, setFlag("isReading", false)),
  command("publish", 3, "lt", null, () => integer(0)),
  command("subscribe", -2, "slt", null, (call) => list([bulk("subscribe"), bulk(call.arg(1)), integer(1)])),
  command("command", -1, "lt", null, (call) => (call.word(1) === "COUNT" ? integer(0) : EMPTY)),
  command("acl", -2, "slt", null, (call) => (call.word(1) === "WHOAMI" ? bulk("default") : bulks([]))),
];
