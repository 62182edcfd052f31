import { printable } from "./printable.ts";

/** One line of CLUSTER NODES. */
export interface ClusterNode {
  readonly id: string;
  /** As the node that was asked knows it; empty where it does not know its own address yet. */
  readonly host: string;
  /** 0 where the address is not known (flag `noaddr`). */
  readonly port: number;
  /** `myself`, `master`, `slave`, `fail?` (suspected), `fail`, `handshake`, `noaddr`, `nofailover` … */
  readonly flags: ReadonlySet<string>;
  /** Id of the primary that this one replicates; null for a primary. */
  readonly primaryId: string | null;
  /** The link of the cluster bus from the node that was asked to this one is up. */
  readonly isLinked: boolean;
  /** Slots it owns: ranges in ascending order, `0-5460,5500`; empty where it owns none. */
  readonly slots: string;
  /** Slots on their way to or from this node. A node tells only of its own, so only the line with the flag `myself` has any. */
  readonly movingSlots: readonly number[];
  /** Of these the ones that leave it, with the id of the node that they go to. */
  readonly leaving: ReadonlyMap<number, string>;
  /** The others, with the id of the node that they come from. */
  readonly arriving: ReadonlyMap<number, string>;
}

const LINE = /^(\S+) (\S*?):(\d{1,5})(?:@\d{1,5})?(?:,\S*)? (\S+) (\S+) \d+ \d+ \d+ (\S+)((?: \S+)*) *$/;
const OWNED = /^(\d{1,5})(?:-(\d{1,5}))?$/;
const MOVING = /^\[(\d{1,5})-([<>])-([^\]]*)\]$/;

/**
 * Reads a reply of CLUSTER NODES (Redis 3.0 and newer; cluster specification, "Nodes handshake", and cluster.c,
 * `clusterGenNodeDescription`):
 *
 *     line  = id address flags (primary-id | "-") ping-sent pong-received config-epoch ("connected" | "disconnected") slot*
 *     address = host ":" port ["@" bus-port] ["," hostname ["," name "=" value]*]      bus port since 4.0, hostname since 7.0
 *     slot  = number | number "-" number | "[" number "->-" id "]" | "[" number "-<-" id "]"
 *
 * @throws {Error} quotes the line that is none.
 */
export function parseClusterNodes(text: string): ClusterNode[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => parseLine(line.trimEnd()));
}

function parseLine(line: string): ClusterNode {
  const fields = LINE.exec(line);
  if (fields === null) throw new Error(`not a line of CLUSTER NODES: ${printable(line)}`);
  const [, id = "", host = "", port = "", flags = "", primaryId = "", link = "", rest = ""] = fields;
  const owned: string[] = [];
  const movingSlots: number[] = [];
  const leaving = new Map<number, string>();
  const arriving = new Map<number, string>();
  for (const word of rest.split(" ").filter((word) => word !== "")) {
    const moving = MOVING.exec(word);
    if (moving !== null) {
      const [, slot, direction, other = ""] = moving;
      movingSlots.push(Number(slot));
      (direction === ">" ? leaving : arriving).set(Number(slot), other);
    } else if (isRange(word)) owned.push(word);
    else throw new Error(`expected slots in a line of CLUSTER NODES, found ${printable(word)}`);
  }
  return {
    id,
    host,
    port: Number(port),
    flags: new Set(flags.split(",")),
    primaryId: primaryId === "-" ? null : primaryId,
    isLinked: link === "connected",
    slots: owned.join(","),
    movingSlots,
    leaving,
    arriving,
  };
}

function isRange(word: string): boolean {
  const range = OWNED.exec(word);
  return range !== null && Number(range[1]) <= Number(range[2] ?? range[1]) && Number(range[2] ?? range[1]) < 16_384;
}
