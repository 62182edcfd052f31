import { encodeCommand, RdbReader } from "@sluice/redis";
import { Random } from "@sluice/testkit";
import { describe, expect, test } from "vitest";
import { ObservedStream } from "./observed-stream.sample.ts";
import { SimError, textOf } from "./sim-reply.ts";
import { SimServer, type SimServerOptions } from "./sim-server.ts";
import type { SimSession } from "./sim-session.ts";

/** A server with a clock that stands still until it is moved. */
class Bench {
  nowMs = 1_700_000_000_000;
  readonly #random = new Random(1);

  server(name: string, options: Partial<SimServerOptions> = {}): SimServer {
    const [nowMs, random] = [() => this.nowMs, () => this.#random.fraction()];
    return new SimServer({ name, host: name, port: 6379, nowMs, random, ...options });
  }
}

/** A session that poses as a replica, with all that it was sent. */
class Poser {
  readonly session: SimSession;
  readonly stream = new ObservedStream();
  text = "";
  isCut = false;

  constructor(server: SimServer) {
    this.session = server.connect({
      send: (bytes) => {
        this.text += bytes.toString("latin1");
        this.stream.push(bytes);
      },
      hangUp: () => {
        this.isCut = true;
      },
    });
  }

  ask(...args: (string | number)[]): this {
    this.session.receive(encodeCommand(args));
    return this;
  }

  /** What was sent since the last call. */
  taken(): string {
    const { text } = this;
    this.text = "";
    return text;
  }
}

function text(reply: unknown): unknown {
  if (Buffer.isBuffer(reply)) return reply.toString("latin1");
  return reply instanceof SimError ? `-${reply.message}` : reply;
}

/** `name` of INFO. */
function field(server: SimServer, name: string): string {
  return new RegExp(`^${name}:(.*)\r$`, "m").exec(textOf(server.call(["INFO"])))?.[1] ?? "";
}

describe("a source", () => {
  test("sends its copy and then what follows, and continues a link that broke", () => {
    const bench = new Bench();
    const source = bench.server("source");
    source.call(["SET", "a", "1"]);
    source.call(["SELECT", 3]);
    source.call(["RPUSH", "l", "x", "y"]);
    const first = new Poser(source).ask("REPLCONF", "capa", "psync2").ask("PSYNC", "?", "-1");
    expect(first.taken()).toMatch(/^\+OK\r\n\+FULLRESYNC [0-9a-f]{40} 0\r\n\$\d+\r\nREDIS0010/);
    source.call(["INCR", "n"]);
    source.call(["SELECT", 0]);
    source.call(["GET", "a"]);
    source.call(["SET", "b", "2", "EX", 10]);
    expect(first.stream.commands).toEqual([
      ["SELECT", "3"],
      ["INCR", "n"],
      ["SELECT", "0"],
      ["SET", "b", "2", "PXAT", "1700000010000"],
    ]);
    const offset = first.taken().length;
    expect(field(source, "master_repl_offset")).toBe(String(offset));
    first.ask("REPLCONF", "ACK", offset - 1);
    expect(source.lastAckOf.get(first.session)).toBe(offset - 1);
    expect(source.call(["WAIT", 1, 0])).toBe(0);
    first.session.close();
    source.call(["INCR", "a"]);
    const replid = field(source, "master_replid");
    const second = new Poser(source).ask("REPLCONF", "capa", "psync2").ask("PSYNC", replid, offset + 1);
    expect(second.taken()).toBe(`+OK\r\n+CONTINUE ${replid}\r\n*2\r\n$4\r\nINCR\r\n$1\r\na\r\n`);
    const late = new Poser(source).ask("PSYNC", replid, offset + 1000);
    expect(late.taken()).toMatch(/^\+FULLRESYNC/);
  });

  test("writes an RDB that is read back whole", () => {
    const source = new Bench().server("source");
    const wanted = [
      ["SET", "s", "text"],
      ["SET", "i", "-32768"],
      ["SET", "e", "x", "PXAT", "1900000000001"],
      ["RPUSH", "l", "1", "b".repeat(20_000)],
      ["SADD", "t", "m"],
      ["HSET", "h", "f", "v"],
      ["ZADD", "z", "1.5", "m"],
    ];
    for (const args of wanted) source.call(args);
    const read: string[] = [];
    const ignore = (): void => undefined;
    const reader = new RdbReader({
      aux: ignore,
      selectDb: ignore,
      resizeDb: (keys, expires) => read.push(`${keys} ${expires}`),
      functionLibrary: ignore,
      moduleAux: ignore,
      entry: ({ db, key, type, expireAtMs, value }) => {
        read.push(`${db} ${key.toString()} ${type} ${expireAtMs} ${value.length}`);
      },
      entryStart: ignore,
      entryPart: ignore,
      entryEnd: ignore,
    });
    const bytes = source.snapshot();
    expect(reader.push(bytes)).toBe(bytes.length);
    expect(reader.done).toBe(true);
    const entries = "0 s 0 -1 5|0 i 0 -1 3|0 e 0 1900000000001 2|0 l 1 -1 20008|0 t 2 -1 3|0 h 4 -1 5|0 z 5 -1 11";
    expect(read).toEqual(["7 1", ...entries.split("|")]);
  });

  test("sends its copy in pieces, the stream behind it; without a length only after an acknowledgement", () => {
    const source = new Bench().server("source", { snapshotChunkBytes: 64, isDiskless: true });
    for (let index = 0; index < 20; index++) source.call(["SET", `key${index}`, "value"]);
    const poser = new Poser(source).ask("REPLCONF", "capa", "eof").ask("PSYNC", "?", "-1");
    source.call(["SET", "late", "1"]);
    expect(poser.taken()).toMatch(/^\+OK\r\n\+FULLRESYNC [0-9a-f]{40} 0\r\n$/);
    poser.ask("REPLCONF", "ACK", 0);
    let copy = "";
    for (let piece = 0; piece < 20; piece++) {
      source.tick();
      copy += poser.taken();
    }
    const marker = /^\$EOF:(.{40})\r\n/.exec(copy)?.[1] ?? "none";
    expect(copy.endsWith(marker)).toBe(true);
    expect(copy).not.toContain("late");
    poser.ask("REPLCONF", "ACK", 0);
    expect(poser.taken()).toBe("*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$4\r\nlate\r\n$1\r\n1\r\n");
  });

  test("expires keys on access and by itself, says DEL, and pings", () => {
    const bench = new Bench();
    const source = bench.server("source");
    const { stream } = new Poser(source).ask("PSYNC", "?", "-1");
    source.call(["SET", "a", "1", "PX", 5]);
    source.call(["SET", "b", "1", "PX", 5]);
    bench.nowMs += 6;
    expect(source.call(["INCR", "a"])).toBe(1);
    source.tick();
    expect(source.call(["DBSIZE"])).toBe(1);
    expect(stream.commands.slice(3)).toEqual([["MULTI"], ["DEL", "a"], ["INCR", "a"], ["EXEC"], ["DEL", "b"]]);
    const before = source.log.offset;
    bench.nowMs += 10_000;
    source.tick();
    expect(source.log.offset - before).toBe("*1\r\n$4\r\nping\r\n".length);
  });

  test("a watched key that expires keeps EXEC from running", () => {
    const bench = new Bench();
    const server = bench.server("destination");
    server.call(["SET", "k", "1", "PX", 5]);
    server.call(["WATCH", "k"]);
    server.call(["MULTI"]);
    server.call(["SET", "other", "1"]);
    bench.nowMs += 6;
    expect(server.call(["EXEC"])).toBeNull();
    expect(server.call(["EXISTS", "k", "other"])).toBe(0);
  });
});

describe("a replica of the model", () => {
  test("promoted with a prefix, continues whoever has no more than that, and nobody else", () => {
    const bench = new Bench();
    const source = bench.server("source");
    const replica = source.addReplica(bench.server("replica"));
    const offsets: number[] = [];
    for (let index = 0; index < 4; index++) {
      source.call(["RPUSH", "l", index]);
      offsets.push(source.log.offset);
    }
    source.call(["MULTI"]);
    source.call(["RPUSH", "l", "t"]);
    source.call(["INCR", "n"]);
    source.call(["EXEC"]);
    replica.advance(3);
    expect(text(replica.server.call(["LINDEX", "l", -1]))).toBe("1");
    expect(text(replica.server.call(["SET", "x", 1]))).toBe("-READONLY You can't write against a read only replica.");
    const former = field(source, "master_replid");
    source.crash();
    expect(field(replica.server, "master_link_status")).toBe("down");
    const promoted = replica.promote();
    expect(field(promoted, "role")).toBe("master");
    expect(field(promoted, "master_replid2")).toBe(former);
    expect(field(promoted, "second_repl_offset")).toBe(String((offsets[1] ?? 0) + 1));
    promoted.call(["RPUSH", "l", "new"]);
    const behind = new Poser(promoted).ask("REPLCONF", "capa", "psync2").ask("PSYNC", former, (offsets[0] ?? 0) + 1);
    const renewed = field(promoted, "master_replid");
    expect(behind.taken()).toContain(`+CONTINUE ${renewed}\r\n*3\r\n$5\r\nRPUSH\r\n$1\r\nl\r\n$1\r\n1\r\n*2\r\n$6\r\nSELECT`);
    const ahead = new Poser(promoted).ask("PSYNC", former, (offsets[2] ?? 0) + 1);
    expect(ahead.taken()).toMatch(/^\+FULLRESYNC/);
    source.restart("same");
    const back = promoted.addReplica(source);
    back.advance("all");
    expect(source.entries()).toEqual(promoted.entries());
    expect(field(source, "role")).toBe("slave");
  });

  test("applies transactions whole and hands its stream on to those who pose as its replicas", () => {
    const bench = new Bench();
    const source = bench.server("source");
    const replica = source.addReplica(bench.server("replica"));
    const poser = new Poser(replica.server).ask("PSYNC", "?", "-1");
    poser.taken();
    for (const args of [["MULTI"], ["INCR", "a"], ["INCR", "b"], ["EXEC"]]) source.call(args);
    replica.advance(1);
    expect(replica.server.call(["EXISTS", "a", "b"])).toBe(0);
    replica.advance(1);
    expect(replica.server.call(["EXISTS", "a", "b"])).toBe(2);
    expect(poser.taken().length).toBe(source.log.offset);
    expect(replica.server.log.replid).toBe(source.log.replid);
  });

  test("does not expire, but shows nothing that has", () => {
    const bench = new Bench();
    const source = bench.server("source");
    const replica = source.addReplica(bench.server("replica"));
    source.call(["SET", "k", "1", "PX", 5]);
    replica.advance("all");
    bench.nowMs += 6;
    replica.server.tick();
    expect(replica.server.call(["GET", "k"])).toBeNull();
    expect(replica.server.call(["DBSIZE"])).toBe(1);
    source.tick();
    replica.advance("all");
    expect(replica.server.call(["DBSIZE"])).toBe(0);
  });
});

describe("crash and restart", () => {
  test("sessions are cut; what comes back is what the disk held", () => {
    const bench = new Bench();
    const server = bench.server("server");
    const poser = new Poser(server).ask("PSYNC", "?", "-1");
    server.call(["SET", "a", "1"]);
    server.call(["SET", "short", "1", "PX", 5]);
    server.checkpoint();
    const [former, saved] = [server.log.replid, server.log.offset];
    server.call(["SET", "a", "2"]);
    server.crash();
    expect(poser.isCut).toBe(true);
    expect(text(server.call(["GET", "a"]))).toBe("-DOWN server does not run");
    expect(() => server.connect({ send: () => undefined, hangUp: () => undefined })).toThrow("connection refused");
    server.restart("same");
    expect(text(server.call(["GET", "a"]))).toBe("2");
    expect(field(server, "master_replid2")).toBe("0".repeat(40));
    bench.nowMs += 6;
    server.restart("earlier");
    expect(text(server.call(["GET", "a"]))).toBe("1");
    expect(field(server, "master_replid2")).toBe(former);
    expect(field(server, "second_repl_offset")).toBe(String(saved + 1));
    const resumed = new Poser(server).ask("PSYNC", former, saved + 1);
    expect(resumed.taken()).toMatch(/^\+CONTINUE\r\n.*SELECT.*DEL\r\n\$5\r\nshort\r\n$/s);
    server.restart("empty");
    expect(server.call(["DBSIZE"])).toBe(0);
  });

  test("loaded scripts are gone", () => {
    const server = new Bench().server("server");
    const sha = server.call(["SCRIPT", "LOAD", "return ARGV[1]"]) as Buffer;
    expect(text(server.call(["EVALSHA", sha, 0, "x"]))).toBe("x");
    server.restart("same");
    expect(text(server.call(["EVALSHA", sha, 0, "x"]))).toBe("-NOSCRIPT No matching script. Please use EVAL.");
  });
});

describe("faults", () => {
  const answers = (fault: SimServer["failWith"], ...args: string[]): string => {
    const server = new Bench().server("server");
    const client = new Poser(server);
    server.failWith = fault;
    return client.ask(...args).taken();
  };

  test.each<[SimServer["failWith"], string[], string[]]>([
    ["OOM", ["SET", "k", "v"], ["DEL", "k"]],
    ["READONLY", ["DEL", "k"], ["GET", "k"]],
    ["MISCONF", ["PING"], ["GET", "k"]],
    ["NOREPLICAS", ["INCR", "k"], ["GET", "k"]],
    ["LOADING", ["GET", "k"], ["INFO"]],
    ["BUSY", ["GET", "k"], ["MULTI"]],
    ["CLUSTERDOWN", ["GET", "k"], ["PING"]],
    ["MASTERDOWN", ["GET", "k"], ["INFO"]],
    ["NOPERM", ["GET", "k"], ["PING"]],
  ])("%s concerns the commands that it would", (fault, refused, taken) => {
    expect(answers(fault, ...refused)).toMatch(new RegExp(`^-${fault ?? ""} `));
    expect(answers(fault, ...taken)).toMatch(/^[^-]/);
  });

  test("what is refused in a transaction ends it, and what EXEC is refused for is told", () => {
    const server = new Bench().server("server");
    const client = new Poser(server).ask("MULTI").ask("SET", "k", "v");
    server.failWith = "OOM";
    client.taken();
    expect(client.ask("GET", "k").taken()).toMatch(/^-OOM /);
    expect(client.ask("EXEC").taken()).toMatch(/^-EXECABORT Transaction discarded because of: OOM /);
    expect(client.ask("EXEC").taken()).toBe("-ERR EXEC without MULTI\r\n");
    expect(server.call(["SET", "k", "v"])).toBe("OK");
  });
});

test("times to live are told in full seconds, rounded", () => {
  const server = new Bench().server("server");
  for (const [ms, seconds] of [
    [1499, 1],
    [1500, 2],
    [499, 0],
  ] as const) {
    server.call(["SET", "k", "v", "PX", ms]);
    expect([server.call(["TTL", "k"]), server.call(["PTTL", "k"])]).toEqual([seconds, ms]);
  }
  expect([server.call(["TTL", "none"]), server.call(["EXPIRE", "k", -1]), server.call(["EXISTS", "k"])]).toEqual([-2, 1, 0]);
});

test("a stream of bytes is read at every cut", () => {
  const bytes = Buffer.concat([encodeCommand(["SET", "k", "\r\n$3"]), encodeCommand(["GET", "k"]), Buffer.from("PING\r\n")]);
  for (let cut = 1; cut < bytes.length; cut++) {
    const client = new Poser(new Bench().server("server"));
    client.session.receive(bytes.subarray(0, cut));
    client.session.receive(bytes.subarray(cut));
    expect(client.taken()).toBe("+OK\r\n$4\r\n\r\n$3\r\n+PONG\r\n");
  }
  const client = new Poser(new Bench().server("server"));
  client.session.receive(Buffer.from("*1\r\nnonsense\r\n"));
  expect(client.taken()).toBe("-ERR Protocol error: expected '$', got 'n'\r\n");
  expect(client.isCut).toBe(true);
});
