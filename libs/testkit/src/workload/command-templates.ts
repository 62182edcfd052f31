import type { Random } from "./random.ts";

/**
 * Write commands of strings, lists, sets, hashes, sorted sets and keys, in their forms and in wrong ones: words between spaces, of which
 * `CommandTemplates` replaces some.
 */
export const plainWrites: readonly string[] = [
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

const WORDS = ["a", "b", "c", "1", "2", "10", "-7", "abc", "0.5"];
const FLOATS = ["0.5", "-1.25", "3", "0.1", "1e2", "-0.3"];
const INTEGERS = ["1", "-1", "5", "100", "-100", "9223372036854775807", "-9223372036854775808"];
const FAR_MS = 4_102_444_800_000;

/**
 * Makes commands of templates, at random: `k` becomes a key (few of them, so that most commands fit nobody's type), `v` a small text, `n` a small
 * integer, `i` any integer, `f` a decimal, `s` a score, `(s` an open one, `t` a far time, `d` a payload of DUMP. Other words stand for themselves.
 */
export class CommandTemplates {
  readonly #random: Random;
  readonly #payload: () => Buffer;

  constructor(random: Random, payload: () => Buffer) {
    this.#random = random;
    this.#payload = payload;
  }

  /** One of the templates with its words replaced. */
  command(templates: readonly string[]): (string | Buffer)[] {
    return this.#random
      .pick(templates)
      .split(" ")
      .map((word, index) => (index === 0 ? word : this.#argument(word)));
  }

  /** `k0` to `k5`. */
  key(): string {
    return `k${this.#random.between(0, 5)}`;
  }

  #argument(word: string): string | Buffer {
    switch (word) {
      case "k":
        return this.key();
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
        return this.#payload();
      default:
        return word;
    }
  }
}
