import type { Redis } from "ioredis";
import { askForMembers, hasFailed, memberUrl, ownsSlot } from "../servers/cluster-view.ts";
import { keySlot } from "../servers/key-slot.ts";
import { openClient } from "../servers/open-client.ts";
import type { ClusterEndpoint } from "../servers/redis-cluster.ts";
import { isClusterEndpoint } from "../workload/open-outlets.ts";
import { openDatabases } from "../workload/pipeline.ts";
import type { CanonicalFunction } from "./canonical.ts";
import { readFunctions } from "./read-functions.ts";
import { keyspaceCounts, scanKeys } from "./scan-keys.ts";

/** A server: its URL or something that has one, such as a `RedisServer`. */
export type Endpoint = string | { readonly url: string };

/** A server, a cluster, or servers that hold the keys of one deployment together, such as replicas of a cluster's primaries. */
export type Deployment = Endpoint | ClusterEndpoint | readonly Endpoint[];

interface SideNode {
  readonly name: string;
  readonly client: Redis;
  /** Undefined for a server outside a cluster, which may hold any key. */
  readonly owns: ((slot: number) => boolean) | undefined;
}

/** Connections to every node of a deployment. */
export class DeploymentSide {
  readonly #nodes: readonly SideNode[];

  private constructor(nodes: readonly SideNode[]) {
    this.#nodes = nodes;
  }

  /** Of a cluster all primaries, those without slots too. */
  static async open(deployment: Deployment): Promise<DeploymentSide> {
    if (!isCluster(deployment)) {
      const urls = (isList(deployment) ? deployment : [deployment]).map(urlOf);
      return new DeploymentSide(urls.map((url) => ({ name: hostOf(url), client: openClient(url), owns: undefined })));
    }
    const { askedUrl, view } = await askForMembers(
      [...new Set([deployment.url, ...(deployment.urls ?? [])])],
      deployment.directPorts,
    );
    const primaries = view.filter((member) => member.primaryId === undefined && !hasFailed(member));
    return new DeploymentSide(
      primaries.map((member) => {
        const url = memberUrl(askedUrl, member);
        return { name: hostOf(url), client: openClient(url), owns: (slot) => ownsSlot(member, slot) };
      }),
    );
  }

  /** Keys by database over all nodes, see `keyspaceCounts`. */
  async counts(): Promise<Map<number, number>> {
    const sums = new Map<number, number>();
    for (const counts of await Promise.all(this.#nodes.map(({ client }) => keyspaceCounts(client)))) {
      for (const [db, count] of counts) sums.set(db, (sums.get(db) ?? 0) + count);
    }
    return sums;
  }

  /** The function libraries of each node. */
  async libraries(): Promise<CanonicalFunction[][]> {
    return Promise.all(this.#nodes.map(({ client }) => readFunctions(client)));
  }

  async database(db: number): Promise<SideDatabase> {
    const nodes = this.#nodes.filter(({ owns }) => db === 0 || owns === undefined); // a cluster has no other database
    const links = await Promise.all(nodes.map(async ({ client }) => (await openDatabases(client, [db]))[0]));
    return new SideDatabase(
      nodes.flatMap((node, place) => {
        const client = links[place];
        return client === undefined ? [] : [{ ...node, client }];
      }),
    );
  }

  close(): void {
    for (const { client } of this.#nodes) client.disconnect();
  }
}

/** One database of a deployment, over all nodes. */
export class SideDatabase {
  /** Keys that `scan` found where they must not be, and why; they are not among its pages. */
  readonly strays: { readonly key: Buffer; readonly what: string }[] = [];
  readonly #nodes: readonly SideNode[];
  readonly #homes = new Map<string, SideNode>();

  constructor(nodes: readonly SideNode[]) {
    this.#nodes = nodes;
  }

  /** Every key once, in pages. Keys that are created or deleted meanwhile may be missing. */
  async *scan(pageSize: number): AsyncGenerator<Buffer[]> {
    for (const node of this.#nodes) {
      for await (const page of scanKeys(node.client, pageSize)) {
        const kept = page.filter((key) => this.#isAtHome(node, key));
        if (kept.length > 0) yield kept;
      }
    }
  }

  /**
   * Lets `reader` read the keys, each at the node that has it: the owner of its slot, or where `scan` found it, or else the first
   * that knows something of it. Answers in the order of the keys.
   */
  async read<T>(
    keys: readonly Buffer[],
    reader: (client: Redis, keys: readonly Buffer[]) => Promise<(T | undefined)[]>,
  ): Promise<(T | undefined)[]> {
    const found: (T | undefined)[] = keys.map(() => undefined);
    await Promise.all(
      this.#nodes.map(async (node) => {
        const places = keys.flatMap((key, place) => (this.#mayHave(node, key) ? [place] : []));
        if (places.length === 0) return;
        const answers = await reader(
          node.client,
          places.flatMap((place) => keys[place] ?? []),
        );
        for (const [index, place] of places.entries()) found[place] ??= answers[index];
      }),
    );
    return found;
  }

  close(): void {
    for (const { client } of this.#nodes) client.disconnect();
  }

  #isAtHome(node: SideNode, key: Buffer): boolean {
    if (node.owns !== undefined) {
      const slot = keySlot(key);
      if (node.owns(slot)) return true;
      this.strays.push({ key, what: `found on ${node.name}, which does not own its slot ${slot}` });
      return false;
    }
    if (this.#nodes.length === 1) return true;
    const name = key.toString("latin1");
    const home = this.#homes.get(name);
    if (home === undefined) this.#homes.set(name, node);
    else if (home !== node) this.strays.push({ key, what: `found on ${home.name} and on ${node.name}` });
    return home === undefined;
  }

  #mayHave(node: SideNode, key: Buffer): boolean {
    if (node.owns !== undefined) return node.owns(keySlot(key));
    return this.#nodes.length === 1 || (this.#homes.get(key.toString("latin1")) ?? node) === node;
  }
}

function isCluster(deployment: Deployment): deployment is ClusterEndpoint {
  return typeof deployment !== "string" && isClusterEndpoint(deployment);
}

function isList(deployment: Endpoint | readonly Endpoint[]): deployment is readonly Endpoint[] {
  return Array.isArray(deployment);
}

function urlOf(endpoint: Endpoint): string {
  return typeof endpoint === "string" ? endpoint : endpoint.url;
}

function hostOf(url: string): string {
  return new URL(url).host;
}
