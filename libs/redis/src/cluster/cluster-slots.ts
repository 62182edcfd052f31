import type { Reply } from "../resp/reply.ts";
import { printable } from "./printable.ts";

/** Where clients shall reach a node, as the cluster announces it. */
export interface AnnouncedNode {
  /** Empty: the address under which the node that was asked was reached. */
  readonly host: string;
  readonly port: number;
  /** Node id; empty before Redis 4.0, which does not tell it here. */
  readonly id: string;
}

/** Slots `from` to `to`, both included, and who serves them. */
export interface AnnouncedSlots {
  readonly from: number;
  readonly to: number;
  readonly primary: AnnouncedNode;
  /** Those that the cluster believes to be alive. */
  readonly replicas: readonly AnnouncedNode[];
}

/**
 * Reads a reply of CLUSTER SLOTS: `[[from, to, [host, port, id, …], [host, port, id, …] …] …]`, primary first (cluster.c,
 * `clusterReplyMultiBulkSlots`). The host is what clients shall use (`cluster-preferred-endpoint-type`), null, empty or `?`
 * where there is none to tell.
 *
 * @throws {Error} says what was expected in which entry.
 */
export function parseClusterSlots(reply: Reply): AnnouncedSlots[] {
  if (!Array.isArray(reply)) throw new Error("not a reply of CLUSTER SLOTS: expected an array");
  return reply.map((entry, index) => {
    const [from, to, primary, ...replicas] = Array.isArray(entry) ? entry : [];
    if (!isSlot(from) || !isSlot(to) || from > to)
      throw new Error(`entry ${index} of CLUSTER SLOTS: expected a range of slots`);
    return {
      from,
      to,
      primary: nodeOf(primary, index),
      replicas: replicas.map((replica) => nodeOf(replica, index)),
    };
  });
}

function isSlot(value: Reply | undefined): value is number {
  return typeof value === "number" && value >= 0 && value < 16_384;
}

function nodeOf(value: Reply | undefined, index: number): AnnouncedNode {
  const [host, port, id] = Array.isArray(value) ? value : [];
  if (typeof port !== "number") throw new Error(`entry ${index} of CLUSTER SLOTS: expected [host, port, id] of a node`);
  const name = textOf(host ?? null, index);
  return { host: name === "?" ? "" : name, port, id: textOf(id ?? null, index) };
}

function textOf(value: Reply, index: number): string {
  if (value === null) return "";
  if (typeof value === "string") return value;
  if (Buffer.isBuffer(value)) return value.toString("latin1");
  throw new Error(`entry ${index} of CLUSTER SLOTS: expected text, found ${printable(String(value))}`);
}
