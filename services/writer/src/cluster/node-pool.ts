import { Connection, type Endpoint, type Reply } from "@sluice/redis";
import { Halt, Retryable } from "@sluice/runtime";
import { destinationFault } from "../apply/standalone-destination.ts";
import { SlotMap, type ClusterNode } from "./slot-map.ts";

const SILENCE_LIMIT_MS = 15_000;

/**
 * The connections of one lane to the nodes of a cluster, one each, opened when first needed. When one breaks, everything that
 * was under way on it is unknown: the lane starts again from what the destination says.
 */
export class NodePool {
  readonly #name: string;
  readonly #endpoint: Endpoint;
  readonly #signal: AbortSignal;
  readonly #connections = new Map<string, Promise<Connection>>();
  readonly #seeds: readonly ClusterNode[];

  /** `endpoint`: credentials and TLS of every node; `seeds`: where to ask for the slot map, in this order. */
  constructor(name: string, endpoint: Endpoint, seeds: readonly ClusterNode[], signal: AbortSignal) {
    this.#name = name;
    this.#endpoint = endpoint;
    this.#seeds = seeds;
    this.#signal = signal;
  }

  /** Throws `Retryable` DST-001 or `Halt` DST-002. */
  async connection(node: ClusterNode): Promise<Connection> {
    return this.#open(node.name, node);
  }

  async call(node: ClusterNode, command: readonly (string | number | Buffer)[]): Promise<Reply> {
    const connection = await this.connection(node);
    try {
      return await connection.call(command);
    } catch (cause) {
      throw destinationFault(`${this.#name} (${node.name})`, cause);
    }
  }

  /**
   * The slot map of the first node that answers with one that covers `slots`. Throws `Retryable` DST-003 when none does, or `Halt` DST-002,
   * DST-020 when all of them refuse to tell.
   */
  async slotMap(slots: Iterable<number>, known: readonly ClusterNode[] = []): Promise<SlotMap> {
    const wanted = [...slots];
    const failures: unknown[] = [];
    for (const node of [...known, ...this.#seeds]) {
      try {
        const map = SlotMap.read(await this.call(node, ["CLUSTER", "SLOTS"]), node.host);
        if (wanted.every((slot) => map.ownerOf(slot) !== null)) return map;
        failures.push(new Error(`${node.name} knows no owner of some slots`));
      } catch (cause) {
        failures.push(cause);
      }
    }
    const refusals = failures.filter((cause) => cause instanceof Halt);
    if (refusals[0] !== undefined && refusals.length === failures.length) throw refusals[0];
    throw new Retryable("DST-003", `destination ${this.#name}`, `no node of ${this.#name} tells who serves all slots`, {
      cause: failures.at(-1),
    });
  }

  /** The connection for transactions beside the one for everything else: what it watches is its own. One transaction at a time. */
  async transactions(node: ClusterNode): Promise<Connection> {
    return this.#open(`${node.name} transactions`, node);
  }

  async #open(name: string, { host, port }: ClusterNode): Promise<Connection> {
    const open = this.#connections.get(name);
    if (open !== undefined) return open;
    const options = { name: "sluice-writer", idleTimeoutMs: SILENCE_LIMIT_MS, signal: this.#signal };
    const opening = Connection.open({ ...this.#endpoint, host, port }, options);
    this.#connections.set(name, opening);
    try {
      return await opening;
    } catch (cause) {
      this.#connections.delete(name);
      throw destinationFault(`${this.#name} (${name})`, cause);
    }
  }

  close(): void {
    for (const opening of this.#connections.values()) {
      opening.then(
        (connection) => connection.close(),
        () => undefined,
      );
    }
    this.#connections.clear();
  }
}
