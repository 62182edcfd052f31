import { Random } from "@sluice/testkit";
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

const FAR_MS = 4_102_444_800_000;

/** Arguments as words: `k` a key, `v` a small text, `n` a small integer, `i` any integer, `f` a decimal, `s` a score, `t` a far time. */
const WRITES = [
  ..."set k v|set k n|SET k v NX|set k v XX|set k v GET|set k v KEEPTTL|set k v PXAT t|set k v EX 1000|set k v PX 100000 NX".split(
    "|",
  ),
  ..."set k v nx get|set k v EX 0|set k v EX nope|set k v PX 1 KEEPTTL|set k v XX NX|set k v EXAT 4102444800|set k n".split(
    "|",
  ),
  ..."setnx k v|setex k 1000 v|psetex k 100000 v|setex k 0 v|getset k v|getdel k|getex k PX 100000|getex k PERSIST|getex k".split(
    "|",
  ),
  ..."getex k PXAT 1000|getex k EX 5 PERSIST|mset k v k v|mset k v k|msetnx k v k v|append k v|setrange k n v|setrange k -1 v".split(
    "|",
  ),
  ..."incr k|decr k|incrby k i|decrby k i|incrbyfloat k f|incrby k nope|incrbyfloat k nope|setbit k n 1|setbit k n 2".split(
    "|",
  ),
  ..."lpush k v v|rpush k v|rpush k v v v|lpushx k v|rpushx k v|lpop k|rpop k|lpop k 2|rpop k 0|lpop k -1|lpop k 1 1".split(
    "|",
  ),
  ..."lset k n v|lset k -1 v|lrem k 0 v|lrem k 1 v|lrem k -1 v|ltrim k 0 2|ltrim k n -1|linsert k BEFORE v v".split("|"),
  ..."linsert k AFTER v v|linsert k NEAR v v|lmove k k LEFT RIGHT|lmove k k right left|rpoplpush k k|lmove k k UP LEFT".split(
    "|",
  ),
  ..."sadd k v|sadd k v v v|srem k v|srem k v v|smove k k v|spop k 100|spop k 0|spop k nope|sunionstore k k k".split("|"),
  ..."sinterstore k k k|sdiffstore k k k|hset k v v|hset k v v v v|hset k v|hmset k v n|hsetnx k v v|hdel k v v".split("|"),
  ..."hincrby k v i|hincrby k v nope|hincrbyfloat k v f|hincrbyfloat k v nope|hset k v n|hset k v n v n".split("|"),
  ..."zadd k s v|zadd k s v s v|zadd k NX s v|zadd k XX s v|zadd k GT CH s v|zadd k LT s v|zadd k INCR s v|zadd k XX INCR s v".split(
    "|",
  ),
  ..."zadd k NX XX s v|zadd k GT LT s v|zadd k nope v|zadd k INCR s v s v|zadd k s|zincrby k s v|zrem k v v".split("|"),
  ..."zremrangebyrank k 0 n|zremrangebyscore k -inf (s|zpopmin k|zpopmax k 2|zpopmin k -1".split("|"),
  ..."del k|del k k k|unlink k k|rename k k|renamenx k k|copy k k|copy k k REPLACE|copy k k DB 1|move k 1|move k 99".split("|"),
  ..."expire k 1000|expire k 1000 NX|expire k 2000 GT|expire k 10 LT|expire k 10 XX|pexpire k 100000|pexpireat k t".split("|"),
  ..."expireat k 4102444800|expire k -1|pexpireat k 1000|expire k nope|expire k 1 NX GT|expire k 1 nope|persist k".split("|"),
  ..."pexpire k 9223372036854775807|RESTORE k 0 d|restore k 100000 d REPLACE|restore k t d REPLACE ABSTTL|restore k 5 d REPLACE ABSTTL".split(
    "|",
  ),
  ..."restore k 0 v|restore k -1 d REPLACE|restore k 0 d REPLACE nope|flushdb|swapdb 1 2|swapdb 0 nope".split("|"),
];

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
const WORDS = ["a", "b", "c", "1", "2", "10", "-7", "abc", "0.5"];
const FLOATS = ["0.5", "-1.25", "3", "0.1", "1e2", "-0.3"];
const INTEGERS = ["1", "-1", "5", "100", "-100", "9223372036854775807", "-9223372036854775808"];
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
  #mark = "";

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  *steps(count: number): Generator<ProgramStep> {
    for (let step = 0; step < count; step++) {
      const client = this.#random.chance(0.6) ? 0 : 1;
      const draw = this.#random.fraction();
      if (draw < 0.55) yield { client, args: this.#command(WRITES) };
      else if (draw < 0.8) yield { client, args: this.#command(READS) };
      else if (draw < 0.92) yield { client, args: this.#command(CONTROL) };
      else if (draw < 0.95)
        yield { client, args: ["EVAL", MIXED_SCRIPT, "3", this.#key(), this.#key(), this.#key(), "7", "5"] };
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

  #command(templates: readonly string[]): (string | Buffer)[] {
    return this.#random
      .pick(templates)
      .split(" ")
      .map((word, index) => (index === 0 ? word : this.#argument(word)));
  }

  #argument(word: string): string | Buffer {
    switch (word) {
      case "k":
        return this.#key();
      case "v":
        return this.#random.pick(WORDS);
      case "n":
        return String(this.#random.between(0, 6));
      case "i":
        return this.#random.chance(0.8) ? String(this.#random.between(-9, 9)) : this.#random.pick(INTEGERS);
      case "f":
        return this.#random.pick(FLOATS);
      case "s":
        return this.#random.pick([...FLOATS, "inf", "7"]);
      case "(s":
        return `(${this.#random.pick(FLOATS)}`;
      case "t":
        return String(FAR_MS + this.#random.between(0, 9));
      case "d":
        return Buffer.from(dumpOf(this.#random.pick(VALUES)), "latin1");
      default:
        return word;
    }
  }

  #key(): string {
    return `k${this.#random.between(0, 5)}`;
  }

  /** The apply script as a writer calls it, most times with the mark that stands there. */
  #apply(): (string | Buffer)[] {
    const commands = Array.from({ length: this.#random.between(0, 4) }, () => this.#command(WRITES));
    const expected = this.#random.chance(0.7) ? this.#mark : "other";
    if (expected === this.#mark) this.#mark = String(this.#random.between(1, 1e6));
    const keys = ["m", "k0", "k1", "k2", "k3", "k4", "k5"];
    const args = commands.flatMap((command) => [String(command.length), ...command]);
    return ["EVAL", APPLY_SCRIPT, String(keys.length), ...keys, expected, this.#mark, ...args];
  }
}
