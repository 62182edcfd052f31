import { DestinationLimits, type DestinationServer } from "@sluice/redis";
import type { ServerState } from "./probe/server-state.ts";

/** The first with PSYNC (replication.c of 2.8). */
export const FIRST_SOURCE = 20_800;
/** The first with the commands that writers need (RESTORE REPLACE since 3.0). */
export const FIRST_DESTINATION = 30_000;
/** From here on the RDB version may be above the latest that is read here, 13. */
export const LATER_RDB_SINCE = 80_200;

const FUNCTIONS_SINCE = 70_000;

/** Version and fork; of Valkey its own version, where it tells it. */
export function serverOf(state: Pick<ServerState, "version" | "isValkey" | "text">): DestinationServer {
  const [, major, minor, patch] = /^(\d+)\.(\d+)\.(\d+)/.exec(state.text("valkey_version")) ?? [];
  const own = Number(major) * 10_000 + Number(minor) * 100 + Number(patch);
  return { version: Number.isNaN(own) ? state.version : own, isValkey: state.isValkey };
}

/** Something that a server holds and another may have no room for in any form, with the commands that make it. */
export interface LostKind {
  readonly name: string;
  readonly madeBy: readonly string[];
}

interface Kind extends LostKind {
  readonly isHeldBy: (server: DestinationServer) => boolean;
}

/** Everything else is built from its elements where it can't be restored. */
const KINDS: readonly Kind[] = [
  { name: "streams", madeBy: ["XADD", "XGROUP"], isHeldBy: (server) => new DestinationLimits(server).hasStreams },
  {
    name: "expiries of hash fields",
    madeBy: ["HEXPIRE", "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT", "HSETEX", "HGETEX"],
    isHeldBy: (server) => new DestinationLimits(server).hasFieldExpiries,
  },
  { name: "function libraries", madeBy: ["FUNCTION"], isHeldBy: ({ version }) => version >= FUNCTIONS_SINCE },
];

/** Kinds that a source may hold and a destination can't. */
export function lostKinds(source: DestinationServer, destination: DestinationServer): LostKind[] {
  return KINDS.filter(({ isHeldBy }) => isHeldBy(source) && !isHeldBy(destination));
}
