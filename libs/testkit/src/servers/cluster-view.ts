import type { Redis } from "ioredis";
import { openClient } from "./open-client.ts";

const ASK_TIMEOUT_MS = 1000;

/** One line of CLUSTER NODES. */
export interface ClusterMember {
  readonly id: string;
  /** Empty for the asking node while it does not know its own address. */
  readonly host: string;
  readonly port: number;
  readonly flags: ReadonlySet<string>;
  /** The id of its primary, or undefined for a primary. */
  readonly primaryId: string | undefined;
  /** Of the primary's claim on its slots: where two claim the same one, the higher wins. A replica's is its primary's. */
  readonly configEpoch: number;
  /** True while the asking node and this one are connected; always true for the asking node itself. */
  readonly isLinked: boolean;
  /** Ranges as the server prints them; empty for a replica. */
  readonly ranges: readonly (readonly [first: number, last: number])[];
  /** Slots on the move, which a node tells of itself only. */
  readonly moving: readonly string[];
}

/** How one node of a cluster sees all of them, itself included. */
export type ClusterView = readonly ClusterMember[];

/**
 * Reads CLUSTER NODES (redis.io, "CLUSTER NODES": serialization format).
 *
 * @param directPorts the ports on which nodes really listen, by those that they announce, where these differ
 */
export async function readClusterView(client: Redis, directPorts?: ReadonlyMap<number, number>): Promise<ClusterView> {
  const text = String(await client.call("CLUSTER", "NODES"));
  return text.split("\n").flatMap((line) => {
    const [id = "", address = "", flags = "", primary = "-", , , configEpoch, link, ...slots] = line.split(" ");
    if (address === "") return [];
    const port = Number(/:(\d+)@/.exec(address)?.[1]);
    return {
      id,
      host: address.slice(0, address.lastIndexOf(":")),
      port: directPorts?.get(port) ?? port,
      flags: new Set(flags.split(",")),
      primaryId: primary === "-" ? undefined : primary,
      configEpoch: Number(configEpoch),
      isLinked: link === "connected",
      ranges: slots.filter((slot) => !slot.startsWith("[")).map(rangeOf),
      moving: slots.filter((slot) => slot.startsWith("[")),
    };
  });
}

export function ownsSlot(member: ClusterMember, slot: number): boolean {
  return member.ranges.some(([first, last]) => first <= slot && slot <= last);
}

export function hasFailed(member: ClusterMember): boolean {
  return ["fail", "fail?", "noaddr", "handshake"].some((flag) => member.flags.has(flag));
}

/** The URL of a member, with the credentials and the rest of the URL of the node that was asked. */
export function memberUrl(askedUrl: string, member: ClusterMember): string {
  const url = new URL(askedUrl);
  if (member.host !== "") url.hostname = member.host;
  url.port = String(member.port);
  return url.toString();
}

/**
 * Asks one node after the other until one answers with the members of its cluster.
 *
 * @param directPorts see `readClusterView`
 * @throws Error naming them all when none does
 */
export async function askForMembers(
  urls: readonly string[],
  directPorts?: ReadonlyMap<number, number>,
): Promise<{ readonly askedUrl: string; readonly view: ClusterView }> {
  let lastError: unknown;
  for (const askedUrl of urls) {
    const client = openClient(askedUrl, 0, {
      enableOfflineQueue: true,
      maxRetriesPerRequest: 0,
      socketTimeout: ASK_TIMEOUT_MS,
    });
    try {
      return { askedUrl, view: await readClusterView(client, directPorts) };
    } catch (error) {
      lastError = error;
    } finally {
      client.disconnect();
    }
  }
  throw new Error(`no node of the cluster answers: ${urls.join(", ")}`, { cause: lastError });
}

/**
 * Who is what and owns what, as one text that two nodes can be compared by. Members that have failed are left out. The epochs count: a node
 * that takes a slot back before it has heard of the epoch with which it lost it claims it with a lower one, and a message of
 * the other node that was on its way takes the slot away again.
 */
export function agreementText(view: ClusterView): string {
  return view
    .filter((member) => !hasFailed(member))
    .map(
      ({ id, port, primaryId, configEpoch, ranges }) =>
        `${id} ${port} ${primaryId ?? "primary"} ${configEpoch} ${ranges.join(" ")}`,
    )
    .toSorted()
    .join("\n");
}

function rangeOf(text: string): [number, number] {
  const [first = "", last = first] = text.split("-");
  return [Number(first), Number(last)];
}
