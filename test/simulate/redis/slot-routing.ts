import { slotOfKey } from "./key-slot.ts";
import type { SimClient } from "./sim-client.ts";
import { keysOf, type SimCommand } from "./sim-command.ts";
import type { SimServer } from "./sim-server.ts";

/** Who serves what a client asks for: this node, another, or nobody for now. */
interface Route {
  readonly slot: number;
  /** Null where an error stands in its place. */
  readonly node: SimServer | null;
  readonly kind: "here" | "MOVED" | "ASK" | "error";
  readonly error: string;
}

const CROSS_SLOT = "CROSSSLOT Keys in request don't hash to the same slot";
const TRY_AGAIN = "TRYAGAIN Multiple keys request during rehashing of slot";
const DOWN = "CLUSTERDOWN The cluster is down";
const UNBOUND = "CLUSTERDOWN Hash slot not served";

/** What is asked for: the keys of a command, or of all commands that a transaction has queued. */
interface Question {
  readonly keys: readonly string[];
  readonly isWrite: boolean;
  readonly isAsking: boolean;
}

/** Where a cluster sends the client of a command instead of running it, as an error line; null when this node runs it. */
export function redirectOf(server: SimServer, client: SimClient, command: SimCommand, args: readonly string[]): string | null {
  if (server.cluster === null) return null;
  const queue = command.name === "exec" ? client.queue : null;
  if (command.keys === null && queue === null) return null;
  const route = routeOf(server, client, {
    keys: queue === null ? keysOf(command, args) : queue.flatMap((queued) => keysOf(queued.command, queued.args)),
    isWrite: queue === null ? command.isWrite : queued(queue),
    isAsking: client.isAsking || command.isAsking,
  });
  if (route.kind === "here") return null;
  if (route.node === null) return route.error;
  return `${route.kind} ${route.slot} ${route.node.host}:${route.node.port}`;
}

function queued(queue: readonly { readonly command: SimCommand }[]): boolean {
  return queue.some(({ command }) => command.isWrite);
}

/**
 * As `redirectOf`, for a command that a script runs: it may not leave this node (script.c, `scriptVerifyClusterState`). Scripts without
 * a `#!` line may use several slots, as long as all of them are here.
 */
export function scriptRouteRefusal(
  server: SimServer,
  client: SimClient,
  command: SimCommand,
  args: readonly string[],
): string | null {
  if (server.cluster === null || command.keys === null) return null;
  const { isWrite } = command;
  const route = routeOf(server, client, { keys: keysOf(command, args), isWrite, isAsking: client.isAsking });
  if (route.kind === "here") return null;
  return route.error === DOWN
    ? "ERR Script attempted to execute a command while the cluster is down"
    : "ERR Script attempted to access a non local key in a cluster node";
}

/** cluster.c, `getNodeByQuery`, in its order. */
function routeOf(server: SimServer, client: SimClient, { keys, isWrite, isAsking }: Question): Route {
  const [first] = keys;
  const { cluster } = server;
  if (first === undefined || cluster === null) return here(-1);
  const slot = slotOfKey(first);
  const node = cluster.ownerOf(slot, server);
  if (node === null) return refused(slot, UNBOUND);
  const to = node === server ? cluster.migratingTo(server, slot) : null;
  const isImporting = to === null && cluster.importingFrom(server, slot) !== null;
  let missing = 0;
  let present = 0;
  let areSeveral = false;
  for (const key of keys) {
    if (slotOfKey(key) !== slot) return refused(slot, CROSS_SLOT);
    if (isImporting && key !== first) areSeveral = true;
    if (to === null && !isImporting) continue;
    if (server.holds(key)) present++;
    else missing++;
  }
  if (!cluster.isHealthy(server)) return refused(slot, DOWN);
  if (to !== null && missing > 0) {
    return present > 0 ? refused(slot, TRY_AGAIN) : { slot, node: to, kind: "ASK", error: "" };
  }
  if (isImporting && isAsking) return areSeveral && missing > 0 ? refused(slot, TRY_AGAIN) : here(slot);
  if (client.isReading && !isWrite && server.primaryLink?.primary === node) return here(slot);
  return node === server ? here(slot) : { slot, node, kind: "MOVED", error: "" };
}

function here(slot: number): Route {
  return { slot, node: null, kind: "here", error: "" };
}

function refused(slot: number, error: string): Route {
  return { slot, node: null, kind: "error", error };
}
