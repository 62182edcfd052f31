import type { Call } from "../call.ts";
import { NO_EXPIRY } from "../keyspace.ts";
import { command, type SimCommand } from "../sim-command.ts";
import { integer, ONE, Refusal, ZERO, type Encoded } from "../sim-reply.ts";

const LATEST = 2n ** 63n - 1n;

/** expire.c, `parseExtendedExpireArgumentsOrReply`. */
function conditions(call: Call): ReadonlySet<string> {
  const found = new Set<string>();
  for (let at = 3; at < call.args.length; at++) {
    const word = call.word(at);
    if (!["NX", "XX", "GT", "LT"].includes(word)) throw new Refusal(`ERR Unsupported option ${call.arg(at)}`);
    found.add(word);
  }
  if (found.has("NX") && found.size > 1) {
    throw new Refusal("ERR NX and XX, GT or LT options at the same time are not compatible");
  }
  if (found.has("GT") && found.has("LT")) throw new Refusal("ERR GT and LT options at the same time are not compatible");
  return found;
}

function whenOf(call: Call, unitMs: number, isRelative: boolean): number {
  let when = BigInt(call.int(2)) * BigInt(unitMs);
  if (isRelative) when += BigInt(call.nowMs);
  if (when > LATEST || when < -LATEST) throw new Refusal(`ERR invalid expire time in '${call.command.name}' command`);
  return Number(when);
}

function expire(unitMs: number, isRelative: boolean): (call: Call) => Encoded {
  return (call) => {
    const key = call.arg(1);
    const given = conditions(call);
    const when = whenOf(call, unitMs, isRelative);
    const entry = call.find(key);
    if (entry === undefined) return ZERO;
    const current = entry.expireAtMs;
    if (given.has("NX") && current !== NO_EXPIRY) return ZERO;
    if (given.has("XX") && current === NO_EXPIRY) return ZERO;
    if (given.has("GT") && (current === NO_EXPIRY || when <= current)) return ZERO;
    if (given.has("LT") && current !== NO_EXPIRY && when >= current) return ZERO;
    if (when <= call.nowMs && !call.server.isReplica) {
      call.remove(key);
      call.replicateAs(["DEL", key]);
      return ONE;
    }
    call.db.expire(key, entry, when);
    call.changed(key);
    const name = call.command.name === "pexpireat" ? call.arg(0) : "PEXPIREAT";
    const time = isRelative || unitMs !== 1 ? String(when) : call.arg(2);
    call.replicateAs([name, key, time, ...call.args.slice(3)]);
    return ONE;
  };
}

function persist(call: Call): Encoded {
  const entry = call.find(call.arg(1));
  if (entry === undefined || entry.expireAtMs === NO_EXPIRY) return ZERO;
  call.db.expire(call.arg(1), entry, NO_EXPIRY);
  call.changed(call.arg(1));
  return ONE;
}

function remaining(unitMs: number, isAbsolute: boolean): (call: Call) => Encoded {
  return (call) => {
    const entry = call.find(call.arg(1));
    if (entry === undefined) return integer(-2);
    if (entry.expireAtMs === NO_EXPIRY) return integer(-1);
    const ms = isAbsolute ? entry.expireAtMs : Math.max(0, entry.expireAtMs - call.nowMs);
    return integer(unitMs === 1 ? ms : Math.floor((ms + 500) / unitMs));
  };
}

/** Commands on expiries. */
export const expiryCommands: readonly SimCommand[] = [
  command("expire", -3, "w", [1, 1, 1], expire(1000, true)),
  command("pexpire", -3, "w", [1, 1, 1], expire(1, true)),
  command("expireat", -3, "w", [1, 1, 1], expire(1000, false)),
  command("pexpireat", -3, "w", [1, 1, 1], expire(1, false)),
  command("persist", 2, "w", [1, 1, 1], persist),
  command("ttl", 2, "r", [1, 1, 1], remaining(1000, false)),
  command("pttl", 2, "r", [1, 1, 1], remaining(1, false)),
  command("expiretime", 2, "r", [1, 1, 1], remaining(1000, true)),
  command("pexpiretime", 2, "r", [1, 1, 1], remaining(1, true)),
];
