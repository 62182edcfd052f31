import { type DestinationServer, type Origin, originOf } from "@sluice/redis";

/** What a destination can be told: by its version and fork, and for whole commands by what it says itself where it was asked. */
export class Abilities {
  readonly server: DestinationServer;
  readonly #asked: ReadonlySet<string>;
  readonly #known: ReadonlySet<string>;

  /** `asked`: names in capitals that COMMAND INFO was asked for; `known`: those of them that it described. Both empty: nobody asked. */
  constructor(server: DestinationServer, asked: ReadonlySet<string> = new Set(), known: ReadonlySet<string> = new Set()) {
    this.server = server;
    this.#asked = asked;
    this.#known = known;
  }

  /** What all of them can do: of the servers of a cluster, each of which may get a command. */
  static ofAll(all: readonly Abilities[]): Abilities {
    const [first, ...rest] = all;
    if (first === undefined) throw new Error("a destination has a server");
    let { server } = first;
    const asked = new Set(first.#asked);
    for (const one of rest) {
      if (one.server.isValkey !== server.isValkey) server = lowestCommon(server, one.server);
      else if (one.server.version < server.version) server = one.server;
      for (const name of one.#asked) asked.add(name);
    }
    // Where one could not be asked, its version has to do.
    const known = new Set([...asked].filter((name) => all.every((one) => one.hasCommand(name))));
    return new Abilities(server, asked, known);
  }

  /** Whether it has a form that came with these versions; null: it always had. */
  hasSince(origin: Origin | null): boolean {
    if (origin === null) return true;
    const since = this.server.isValkey ? origin.valkey : origin.redis;
    return since !== null && this.server.version >= since;
  }

  /** `name` in capitals. A command of a module counts as there unless the server was asked for it. */
  hasCommand(name: string): boolean {
    return this.#asked.has(name) ? this.#known.has(name) : this.hasSince(originOf(name));
  }
}

/** Both are forks of Redis 7.2: a cluster of both kinds has what that has. */
function lowestCommon(one: DestinationServer, other: DestinationServer): DestinationServer {
  const redis = one.isValkey ? other : one;
  return { version: Math.min(redis.version, FORKED_AT), isValkey: false };
}

const FORKED_AT = 70_204;
