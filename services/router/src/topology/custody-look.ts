import {
  infoFields,
  movesOf,
  parseClusterNodes,
  type Address,
  type ClusterConnections,
  type Deployment,
  type PrimaryNode,
  type SlotOnItsWay,
} from "@sluice/redis";
import type { Custody, History } from "./custody.ts";

/** So often other primaries are found behind the question than were asked. */
const ATTEMPTS = 3;

/** What was seen of a deployment; `custody` is null where there is none to be told, or not now. */
export interface Look {
  readonly seen: Deployment;
  readonly custody: Custody | null;
}

/**
 * Looks at a deployment and at who holds what there. The histories are asked for before the slots, of the primaries that the look before
 * has found; where the look finds others these are asked, and all is looked at again. Of those that own nothing the silent ones are
 * left out. Throws what `look` throws.
 */
export class CustodyLook {
  readonly #connections: Pick<ClusterConnections, "text">;
  readonly #look: () => Promise<Deployment>;
  #primaries: readonly PrimaryNode[] = [];

  constructor(connections: Pick<ClusterConnections, "text">, look: () => Promise<Deployment>) {
    this.#connections = connections;
    this.#look = look;
  }

  async take(): Promise<Look> {
    for (let attempt = 1; ; attempt++) {
      const asked = this.#primaries;
      const histories = new Map<string, History>();
      for (const found of await Promise.all(asked.map((primary) => this.#historyOf(primary)))) {
        if (found !== null) histories.set(found.id, found.history);
      }
      const seen = await this.#look();
      if (seen.mode === "standalone" || seen.trouble !== null) return { seen, custody: null };
      this.#primaries = [...seen.primaries, ...seen.idle];
      const isSame = namesOf(asked) === namesOf(this.#primaries);
      if (isSame && seen.primaries.some(({ id }) => !histories.has(id))) return { seen, custody: null };
      if (isSame) return { seen, custody: custodyOf(seen, histories, await this.#movesOfIdle(seen, histories)) };
      if (attempt === ATTEMPTS) return { seen, custody: null };
    }
  }

  /** Null when it does not answer, or tells none. */
  async #historyOf(primary: PrimaryNode): Promise<{ readonly id: string; readonly history: History } | null> {
    try {
      const fields = infoFields(await this.#connections.text(primary, ["INFO"]));
      const [replid, former, run] = ["master_replid", "master_replid2", "run_id"].map((name) => fields.get(name));
      const [offset, formerEnd] = [Number(fields.get("master_repl_offset")), Number(fields.get("second_repl_offset"))];
      if (replid === undefined || former === undefined || run === undefined) return null;
      if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(formerEnd)) return null;
      return { id: primary.id, history: { replid, run, offset, former, formerEnd } };
    } catch {
      return null;
    }
  }

  /** Who owns nothing may be the only one that knows what it gets: the node that gave it may have been replaced. */
  async #movesOfIdle({ idle }: Deployment, answering: ReadonlyMap<string, History>): Promise<SlotOnItsWay[]> {
    const asked = idle.filter(({ id }) => answering.has(id));
    const told = asked.map(async (address: Address): Promise<SlotOnItsWay[]> => {
      try {
        return movesOf(parseClusterNodes(await this.#connections.text(address, ["CLUSTER", "NODES"])));
      } catch {
        return [];
      }
    });
    return (await Promise.all(told)).flat();
  }
}

function namesOf(primaries: readonly PrimaryNode[]): string {
  return primaries
    .map(({ id, host, port }) => `${id}@${host}:${port}`)
    .toSorted()
    .join(" ");
}

function custodyOf(seen: Deployment, histories: ReadonlyMap<string, History>, moves: readonly SlotOnItsWay[]): Custody {
  const { primaries, idle, nodeIds } = seen;
  const followed = [...primaries, ...idle].flatMap(({ id, replicas }) => replicas.map((replica) => [replica.id, id] as const));
  return {
    owners: Object.fromEntries(primaries.map(({ id, slots }) => [id, slots])),
    histories: Object.fromEntries(histories),
    moves: [...seen.moves, ...moves],
    followed: Object.fromEntries(followed),
    nodeIds,
  };
}
