import { CommandTemplates, plainWrites, Random } from "@sluice/testkit";

/**
 * Templates of `CommandTemplates` for what is not among `plainWrites`. Left out is what is not the same on a replica either: BITFIELD with OVERFLOW FAIL
 * (a call that fails half way is not replicated), SORT BY a pattern (members of a set that weigh the same come in the order of
 * its hash table), ZREMRANGEBYLEX with bounds (among scores that differ it finds what the random levels of a skip list lead it to).
 */
const OTHER_WRITES = [
  "bitfield k SET u8 0 n|bitfield k INCRBY i5 #1 i|bitfield k OVERFLOW SAT INCRBY u2 n 1 GET u8 0|bitop AND k k k|bitop NOT k k|bitop XOR k k",
  "pfadd k v|pfadd k v v v|pfadd k|pfmerge k k k|pfcount k|pfcount k k|pfdebug GETREG k",
  "blmove k k LEFT RIGHT 0.001|blmpop 0.001 2 k k LEFT COUNT 2|blpop k 0.001|blpop k k 0.001|brpop k k 0.001|brpoplpush k k 0.001",
  "lmpop 2 k k RIGHT|lmpop 1 k LEFT COUNT 5|bzmpop 0.001 1 k MIN|bzpopmax k 0.001|bzpopmin k k 0.001|zmpop 2 k k MAX COUNT 2|zmpop 0 k MIN",
  "geoadd k 13.36 38.11 v|geoadd k 15.08 37.50 v 1 2 v|geoadd k XX CH 1 2 v|geoadd k 500 1 v",
  "georadius k 15 37 200 km STORE k|georadius k 15 37 200 km COUNT 1 STOREDIST k|georadiusbymember k v 100 km STORE k",
  "geosearchstore k k FROMLONLAT 15 37 BYRADIUS 200 km ASC|geosearchstore k k FROMMEMBER v BYBOX 400 400 km STOREDIST",
  "sort k STORE k|sort k ALPHA STORE k|sort k ALPHA DESC LIMIT 0 2 STORE k|sort k BY nosort STORE k|sort k GET # ALPHA STORE k|sort k ALPHA",
  "zdiffstore k 2 k k|zinterstore k 2 k k WEIGHTS 2 n|zunionstore k 2 k k AGGREGATE MAX|zunionstore k 1 k|zrangestore k k 0 -1|zrangestore k k 0 1 REV",
  "zrangestore k k (s inf BYSCORE LIMIT 0 2|zremrangebylex k - +|zremrangebyscore k s s|zadd k GT XX s v|zpopmax k",
  "xadd k 1-* v v|xadd k 1-* v v|xadd k 1-* v v v v|xadd k * v v|xadd k 0-1 v v|xadd k MAXLEN = 2 1-* v v|xadd k MAXLEN ~ 1 1-* v v",
  "xadd k MINID 1-2 1-* v v|xadd k NOMKSTREAM 1-* v v|xadd k 0-0 v v|xadd k 1-* v|xdel k 1-0|xdel k 1-1 1-2|xtrim k MAXLEN 1|xtrim k MINID = 1-2",
  "xtrim k MAXLEN ~ 0 LIMIT 10|xsetid k 1-50|xsetid k 1-9 ENTRIESADDED 100 MAXDELETEDID 1-1|xgroup CREATE k g 0|xgroup CREATE k g 0 MKSTREAM",
  "xgroup CREATE k h $ MKSTREAM ENTRIESREAD 1|xgroup SETID k g 0|xgroup SETID k g $|xgroup DESTROY k h|xgroup CREATECONSUMER k g a|xgroup DELCONSUMER k g b",
  "xreadgroup GROUP g a COUNT 2 STREAMS k >|xreadgroup GROUP g b NOACK STREAMS k >|xreadgroup GROUP g b STREAMS k k > >|xreadgroup GROUP h a BLOCK 1 STREAMS k >",
  "xack k g 1-0|xack k g 1-1 1-2|xclaim k g a 0 1-0 1-1|xclaim k g b 0 1-1 IDLE 100 RETRYCOUNT 3 FORCE|xclaim k h a 0 1-0 JUSTID FORCE",
  "xautoclaim k g a 0 0|xautoclaim k g b 0 0 COUNT 1 JUSTID",
  "restore-asking k 0 d REPLACE|restore k 0 d REPLACE IDLETIME 100|restore k t d REPLACE ABSTTL FREQ 5|spop k|spop k 2|setrange k 3 abc|touch k",
  "flushall|function FLUSH|function DELETE lib|publish v v|swapdb 0 1|set k abc|hset k v v v v v v|sadd k v v v v|zadd k s v s v s v|rpush k v v v v",
].join("|");

/** No key may end its life while contents are compared. */
const ENDS_SOON = /^expire k 10 /;
const templates = [...plainWrites.filter((line) => !ENDS_SOON.test(line)), ...OTHER_WRITES.split("|")];

/** Names of all commands that a program runs, in capitals. */
export const randomWriteNames: ReadonlySet<string> = new Set([
  ...templates.map((line) => line.split(" ")[0]!.toUpperCase()),
  ..."EVAL EVALSHA FCALL FUNCTION MULTI EXEC SELECT".split(" "),
]);

const LIBRARY = `#!lua name=lib
redis.register_function('both', function(keys, args)
  redis.call('INCRBY', keys[1], 2)
  return redis.call('SPOP', keys[2])
end)`;
const SCRIPTS = [
  "redis.call('SET', KEYS[1], ARGV[1]) redis.call('SELECT', '1') return redis.call('LPUSH', KEYS[2], ARGV[1])",
  "redis.pcall('INCR', KEYS[1]) return redis.pcall('HINCRBYFLOAT', KEYS[2], 'a', '0.1')",
  "return redis.call('SPOP', KEYS[1])",
  "redis.call('EXPIRE', KEYS[1], 1000) return redis.call('GETDEL', KEYS[2])",
];

/** What keys of a family hold most of the time. Others than these go to keys of any family. */
const FAMILIES: readonly (readonly [family: string, names: RegExp])[] = [
  ["list", /^(?:b?l(?!cs)[a-z]+|b?r(?:push|pop)[a-z]*)$/],
  ["set", /^s(?:add|rem|move|pop|unionstore|interstore|diffstore)$/],
  ["hash", /^h[a-z]+$/],
  ["zset", /^(?:b?z[a-z]+|geo[a-z]+)$/],
  ["stream", /^x[a-z]+$/],
  ["hll", /^pf[a-z]+$/],
  ["text", /^(?:get|set|append|incr|decr|bit|mset)[a-z]*$/],
];

/** Write commands at random, of every kind that a server knows, in three databases and in transactions; the same ones for the same seed. */
export class RandomWrites {
  readonly #random: Random;
  readonly #templates: CommandTemplates;
  readonly #functions: Buffer;
  #left = 0;

  /** `payloads`: of DUMP; `functions`: of FUNCTION DUMP. */
  constructor(seed: number, payloads: readonly Buffer[], functions: Buffer) {
    this.#random = new Random(seed);
    this.#templates = new CommandTemplates(this.#random, () => this.#random.pick(payloads));
    this.#functions = functions;
  }

  /** The library that FCALL calls. */
  static readonly load = ["FUNCTION", "LOAD", "REPLACE", LIBRARY] as const;

  next(): readonly (string | Buffer)[] {
    const random = this.#random;
    // Transactions end, so that nothing is left open.
    if (this.#left > 0 && --this.#left === 0) return ["EXEC"];
    const draw = random.fraction();
    if (this.#left === 0 && draw < 0.03) {
      this.#left = random.between(1, 6);
      return ["MULTI"];
    }
    if (draw < 0.06) return ["SELECT", String(random.pick([0, 0, 1, 2]))];
    if (draw < 0.08) return ["EVAL", random.pick(SCRIPTS), "2", this.#key("text"), this.#key("any"), "7"];
    if (draw < 0.085) return ["EVALSHA", "0".repeat(40), "0"];
    if (draw < 0.095) return ["FCALL", "both", "2", this.#key("text"), this.#key("set")];
    if (draw < 0.1) return random.chance(0.5) ? RandomWrites.load : ["FUNCTION", "RESTORE", this.#functions, "REPLACE"];
    const command = this.#templates.command(templates);
    // What empties all is rare, or there is never much.
    if (/^flush|^swapdb/i.test(String(command[0])) && random.chance(0.9)) return this.next();
    const [family] = FAMILIES.find(([, names]) => names.test(String(command[0]).toLowerCase())) ?? ["any"];
    return command.map((argument) => (typeof argument === "string" && /^k\d$/.test(argument) ? this.#key(family) : argument));
  }

  #key(family: string): string {
    const name = family === "any" || this.#random.chance(0.15) ? this.#random.pick(FAMILIES)[0] : family;
    return `${name}${this.#random.between(0, 3)}`;
  }
}
