import { infoFields, type Address, type ClusterConnections, type Deployment, type PrimaryNode } from "@sluice/redis";
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
 * has found; where the look finds others these are asked, and all is looked at again. Throws what `look` throws.
 */
export class CustodyLook {
  readonly #connections: ClusterConnections;
  readonly #look: () => Promise<Deployment>;
  #primaries: readonly PrimaryNode[] = [];

  constructor(connections: ClusterConnections, look: () => Promise<Deployment>) {
    this.#connections = connections;
    this.#look = look;
  }

  async take(): Promise<Look> {
    for (let attempt = 1; ; attempt++) {
      const asked = this.#primaries;
      const histories = await Promise.all(asked.map((primary) => this.#historyOf(primary)));
      const seen = await this.#look();
      if (seen.mode === "standalone" || seen.trouble !== null) return { seen, custody: null };
      this.#primaries = [...seen.primaries, ...seen.idle];
      if (namesOf(asked) === namesOf(this.#primaries)) return { seen, custody: custodyOf(seen, asked, histories) };
      if (attempt === ATTEMPTS) return { seen, custody: null };
    }
  }

  /** Null when it does not answer, or tells none. */
  async #historyOf(address: Address): Promise<History | null> {
    try {
      const fields = infoFields(await this.#connections.text(address, ["INFO", "replication"]));
      const [replid, former] = [fields.get("master_replid"), fields.get("master_replid2")];
      const [offset, formerEnd] = [Number(fields.get("master_repl_offset")), Number(fields.get("second_repl_offset"))];
      const isWhole = Number.isSafeInteger(offset) && Number.isSafeInteger(formerEnd);
      return replid === undefined || former === undefined || !isWhole ? null : { replid, offset, former, formerEnd };
    } catch {
      return null;
    }
  }
}

function namesOf(primaries: readonly PrimaryNode[]): string {
  return primaries
    .map(({ id, host, port }) => `${id}@${host}:${port}`)
    .toSorted()
    .join(" ");
}

function custodyOf(seen: Deployment, asked: readonly PrimaryNode[], found: readonly (History | null)[]): Custody | null {
  const histories: Record<string, History> = {};
  for (const [index, { id }] of asked.entries()) {
    const history = found[index] ?? null;
    if (history === null) return null;
    histories[id] = history;
  }
  const owners = Object.fromEntries(seen.primaries.map(({ id, slots }) => [id, slots]));
  return { owners, histories, moves: seen.moves, nodeIds: seen.nodeIds };
}
