import { CommandTemplates, plainWrites, Random } from "@sluice/testkit";
import { APPLY_SCRIPT } from "../../../services/writer/src/cluster/apply-script.ts";
import { dumpOf } from "./value-encoding.ts";
import type { SimValue } from "./sim-value.ts";

/** One request of one of the clients of a program. */
export interface ProgramStep {
  readonly client: number;
  readonly args: readonly (string | Buffer)[];
}

const MIXED_SCRIPT = `redis.call('SET', KEYS[1], ARGV[1])
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('RPUSH', KEYS[2], ARGV[1], ARGV[2]) else redis.call('DEL', KEYS[2]) end
return redis.call('INCRBY', KEYS[3], ARGV[2])`;

const READS = [
  ..."get k|strlen k|getrange k 0 n|getrange k -3 -1|mget k k|getbit k n|exists k k k|type k|pttl k|expiretime k".split("|"),
  ..."pexpiretime k|llen k|lrange k 0 -1|lrange k n -2|lindex k n|lindex k -1|scard k|sismember k v|smismember k v v".split(
    "|",
  ),
  ..."smembers k|sunion k k|sinter k k|sdiff k k|sintercard 2 k k|hget k v|hmget k v v|hlen k|hexists k v|hstrlen k v".split(
    "|",
  ),
  ..."hgetall k|hkeys k|hvals k|zcard k|zscore k v|zrank k v|zrange k 0 -1 WITHSCORES|zrange k 0 n REV|zrevrange k 0 -1".split(
    "|",
  ),
  ..."zrangebyscore k -inf s WITHSCORES|zrangebyscore k (s +inf|keys *|keys k[1-3]|keys ?1|dbsize|scan 0 COUNT 1000|echo v".split(
    "|",
  ),
  ..."nope|nope v v|get|get k k|ping|ping v|wait 0 0|touch k k|select nope|select 99|discard|exec".split("|"),
];

const CONTROL =
  "multi|multi|multi|exec|exec|exec|exec|discard|watch k|watch k k|watch k|unwatch|select 0|select 0|select 1|select 2".split(
    "|",
  );
const VALUES: readonly SimValue[] = [
  { type: "string", text: "abc" },
  { type: "string", text: "-129" },
  { type: "list", items: ["a", "1", "b"] },
  { type: "set", members: new Set(["a", "b"]) },
  { type: "hash", fields: new Map([["a", "1"]]) },
  {
    type: "zset",
    scores: new Map([
      ["a", 1.5],
      ["b", -2],
    ]),
  },
];

/** A program of so many steps for two clients, the same for the same seed: most commands fit nobody's types. */
export class RandomProgram {
  readonly #random: Random;
  readonly #templates: CommandTemplates;
  #mark = "";

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#templates = new CommandTemplates(this.#random, () => Buffer.from(dumpOf(this.#random.pick(VALUES)), "latin1"));
  }

  *steps(count: number): Generator<ProgramStep> {
    for (let step = 0; step < count; step++) {
      const client = this.#random.chance(0.6) ? 0 : 1;
      const draw = this.#random.fraction();
      if (draw < 0.55) yield { client, args: this.#templates.command(plainWrites) };
      else if (draw < 0.8) yield { client, args: this.#templates.command(READS) };
      else if (draw < 0.92) yield { client, args: this.#templates.command(CONTROL) };
      else if (draw < 0.95)
        yield {
          client,
          args: ["EVAL", MIXED_SCRIPT, "3", this.#templates.key(), this.#templates.key(), this.#templates.key(), "7", "5"],
        };
      else yield { client, args: this.#apply() };
    }
  }

  /** Reads everything that is left, and closes what is open. */
  *epilogue(): Generator<ProgramStep> {
    for (const client of [0, 1]) yield { client, args: ["discard"] };
    for (const db of ["0", "1", "2"]) {
      yield { client: 0, args: ["select", db] };
      for (const key of ["k0", "k1", "k2", "k3", "k4", "k5", "m"]) {
        for (const read of ["type", "get", "smembers", "hgetall", "pttl"]) yield { client: 0, args: [read, key] };
        yield { client: 0, args: ["lrange", key, "0", "-1"] };
        yield { client: 0, args: ["zrange", key, "0", "-1", "withscores"] };
      }
    }
  }

  /** The apply script as a writer calls it, most times with the mark that stands there. */
  #apply(): (string | Buffer)[] {
    const commands = Array.from({ length: this.#random.between(0, 4) }, () => this.#templates.command(plainWrites));
    const expected = this.#random.chance(0.7) ? this.#mark : "other";
    if (expected === this.#mark) this.#mark = String(this.#random.between(1, 1e6));
    const keys = ["m", "k0", "k1", "k2", "k3", "k4", "k5"];
    const args = commands.flatMap((command) => [String(command.length), ...command]);
    return ["EVAL", APPLY_SCRIPT, String(keys.length), ...keys, expected, this.#mark, ...args];
  }
}
