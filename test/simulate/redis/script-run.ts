import { createHash } from "node:crypto";
import type { Call } from "./call.ts";
import { LuaError, LuaTable, toText, type LuaFunction, type LuaValue } from "./lua/lua-value.ts";
import { hasArity } from "./sim-command.ts";
import { doubleText } from "./number-text.ts";
import { scriptRefusalOf } from "./server-refusal.ts";
import { SimClient } from "./sim-client.ts";
import { bulk, failure, integer, list, NIL, ONE, status, type Encoded } from "./sim-reply.ts";
import { scriptRouteRefusal } from "./slot-routing.ts";
import type { Script } from "./script-book.ts";

/** Runs a command for the script under way: there is one at a time. */
let running: ((values: readonly LuaValue[]) => LuaValue) | null = null;

/**
 * One run of a script: what `redis.call` and `redis.pcall` do, with the refusals that scripts meet instead of clients (script.c).
 */
export class ScriptRun {
  readonly #call: Call;
  readonly #script: Script;
  readonly #client: SimClient;
  #hasWritten = false;

  constructor(call: Call, script: Script) {
    this.#call = call;
    this.#script = script;
    this.#client = new SimClient("script", call.client.id);
    this.#client.db = call.client.db;
    this.#client.isAsking = call.client.isAsking;
    this.#client.isReading = call.client.isReading;
  }

  run(keys: readonly string[], args: readonly string[]): Encoded {
    const globals = new Map<string, LuaValue>([
      ["KEYS", new LuaTable([...keys])],
      ["ARGV", new LuaTable([...args])],
      ["redis", LIBRARY],
    ]);
    running = (values) => this.#execute(values);
    try {
      return replyOf(this.#script.run(globals)[0]);
    } catch (cause) {
      if (!(cause instanceof LuaError)) throw cause;
      const table = cause.value instanceof LuaTable ? cause.value : new LuaTable();
      const line = toText(table.get("line") ?? 0);
      return failure(`${toText(table.get("err"))} script: ${this.#script.sha}, on @user_script:${line}.`);
    } finally {
      running = null;
    }
  }

  #execute(values: readonly LuaValue[]): LuaValue {
    if (values.length === 0) return errorTable("Please specify at least one argument for this redis lib call");
    const args: string[] = [];
    for (const value of values) {
      if (typeof value === "string") args.push(value);
      else if (typeof value === "number") args.push(doubleText(value));
      else return errorTable("Lua redis lib command arguments must be strings or integers");
    }
    const { server, client } = this.#call;
    const command = server.runner.commandOf(args[0] ?? "");
    if (command === undefined) return errorTable("Unknown Redis command called from script");
    if (!hasArity(command, args.length)) return errorTable("Wrong number of args calling Redis command from script");
    if (!command.isScriptable) return errorTable("This Redis command is not allowed from script");
    if (client.kind !== "primary") {
      const refusal =
        scriptRefusalOf(server, client, command, this.#hasWritten) ?? scriptRouteRefusal(server, this.#client, command, args);
      if (refusal !== null) return errorTable(refusal);
    }
    const reply = server.runner.execute(this.#client, command, args);
    if (command.isWrite) this.#hasWritten = true;
    return valueOf(reply, { at: 0 });
  }
}

function execute(args: readonly LuaValue[]): LuaValue {
  if (running === null) throw new Error("a function of the redis library outside a script");
  return running(args);
}

const FUNCTIONS: Readonly<Record<string, LuaFunction>> = {
  call: (args) => {
    const value = execute(args);
    if (isError(value)) throw new LuaError(value);
    return [value];
  },
  pcall: (args) => [execute(args)],
  status_reply: ([text]) => [LuaTable.with("ok", toText(text))],
  error_reply: ([text]) => [LuaTable.with("err", toText(text).replace(/^-/, ""))],
  replicate_commands: () => [true],
  sha1hex: ([text]) => [createHash("sha1").update(toText(text), "latin1").digest("hex")],
  log: () => [],
};

/** The library `redis` of scripts. */
const LIBRARY = new LuaTable();
for (const [name, value] of Object.entries(FUNCTIONS)) LIBRARY.set(name, value);
LIBRARY.set("LOG_NOTICE", 2);
LIBRARY.set("LOG_WARNING", 3);

/** An error as scripts see it: a text without a code in front gets `ERR` (script_lua.c, `luaPushErrorBuff`). */
function errorTable(text: string): LuaTable {
  return LuaTable.with("err", /^[A-Z]{2,} /.test(text) ? text : `ERR ${text}`);
}

function isError(value: LuaValue): boolean {
  return value instanceof LuaTable && value.get("err") !== undefined;
}

/** A reply as a value of Lua: nil is false, a status a table with `ok`, an error one with `err`. */
function valueOf(reply: Encoded, cursor: { at: number }): LuaValue {
  const end = reply.indexOf("\r\n", cursor.at);
  const kind = reply[cursor.at];
  const line = reply.slice(cursor.at + 1, end);
  cursor.at = end + 2;
  if (kind === "+") return LuaTable.with("ok", line);
  if (kind === "-") return LuaTable.with("err", line);
  if (kind === ":") return Number(line);
  const count = Number(line);
  if (count < 0) return false;
  if (kind === "$") {
    cursor.at += count + 2;
    return reply.slice(cursor.at - count - 2, cursor.at - 2);
  }
  const items: LuaValue[] = [];
  for (let index = 0; index < count; index++) items.push(valueOf(reply, cursor));
  return new LuaTable(items);
}

function integerPart(value: number): number | bigint {
  const whole = Math.trunc(value);
  if (Number.isSafeInteger(whole)) return whole;
  return Number.isFinite(whole) ? BigInt.asIntN(64, BigInt(whole)) : -(2n ** 63n);
}

/** A value of Lua as a reply (script_lua.c, `luaReplyToRedisReply`). */
function replyOf(value: LuaValue): Encoded {
  if (typeof value === "string") return bulk(value);
  if (typeof value === "number") return integer(integerPart(value));
  if (value === true) return ONE;
  if (!(value instanceof LuaTable)) return NIL;
  const [error, ok] = [value.get("err"), value.get("ok")];
  if (typeof error === "string") return failure(error);
  if (typeof ok === "string") return status(ok);
  return list(value.items.map(replyOf));
}
