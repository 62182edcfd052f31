import type { Call } from "../call.ts";
import { integerOf } from "../number-text.ts";
import { ScriptRun } from "../script-run.ts";
import type { Script } from "../script-book.ts";
import { command, counted, type SimCommand } from "../sim-command.ts";
import { bulk, failure, list, NOT_INTEGER, OK, ONE, Refusal, ZERO, type Encoded } from "../sim-reply.ts";

function compiled(call: Call, text: string): Script {
  try {
    return call.server.scripts.load(text);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new Refusal(`ERR Error compiling script (new function): ${cause.message}`);
  }
}

function run(call: Call, find: () => Script): Encoded {
  const count = integerOf(call.arg(2));
  if (count === null) throw NOT_INTEGER;
  if (count > call.args.length - 3) throw new Refusal("ERR Number of keys can't be greater than number of args");
  if (count < 0) throw new Refusal("ERR Number of keys can't be negative");
  const from = 3 + Number(count);
  return new ScriptRun(call, find()).run(call.args.slice(3, from), call.args.slice(from));
}

function evaluate(call: Call): Encoded {
  return run(call, () => compiled(call, call.arg(1)));
}

function evaluateLoaded(call: Call): Encoded {
  return run(call, () => {
    const script = call.server.scripts.find(call.arg(1));
    if (script === undefined) throw new Refusal("NOSCRIPT No matching script. Please use EVAL.");
    return script;
  });
}

function script(call: Call): Encoded {
  const { scripts } = call.server;
  switch (call.word(1)) {
    case "LOAD":
      return bulk(compiled(call, call.arg(2)).sha);
    case "EXISTS":
      return list(call.args.slice(2).map((sha) => (scripts.find(sha) === undefined ? ZERO : ONE)));
    case "FLUSH":
      scripts.flush();
      return OK;
    case "KILL":
      return failure("NOTBUSY No scripts in execution right now.");
    default:
      throw new Refusal(`ERR unknown subcommand '${call.arg(1)}'. Try SCRIPT HELP.`);
  }
}

/** Scripts. */
export const scriptCommands: readonly SimCommand[] = [
  command("eval", -3, "st", counted(2), evaluate),
  command("evalsha", -3, "st", counted(2), evaluateLoaded),
  command("script", -2, "s", null, script),
];
