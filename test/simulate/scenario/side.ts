import { SLOT_COUNT } from "@sluice/wire";
import { slotOf } from "../oracle/mark-watch.ts";
import { SimCluster } from "../redis/sim-cluster.ts";
import type { SimReplica } from "../redis/sim-replica.ts";
import { SimServer } from "../redis/sim-server.ts";
import type { Dice } from "../world/dice.ts";
import type { World } from "../world/world.ts";

const PORT = 6379;
/** Active expiry, and what else servers do by themselves. */
const TICK_MS = 100;
/** Replicas of the model get so many commands at a time, so often. */
const REPLICATE_MS = 40;
const HALF = SLOT_COUNT / 2;
const THIRD = Math.floor(SLOT_COUNT / 3);

/** A primary with the replica that takes its place when it fails. */
interface Seat {
  primary: SimServer;
  replica: SimReplica;
}

/** How a cluster's slots are cut; sources and destinations differ. */
const CUTS = {
  source: [`0-${HALF - 1}`, `${HALF}-${SLOT_COUNT - 1}`],
  destination: [`0-${THIRD},${2 * THIRD}-${SLOT_COUNT - 1}`, `${THIRD + 1}-${2 * THIRD - 1}`],
} as const;

/** Source or destination of a world: one server, or a cluster; each primary with a replica that lags behind it. */
export class Side {
  readonly url: string;
  readonly cluster: SimCluster | null;
  readonly #world: World;
  readonly #name: keyof typeof CUTS;
  readonly #seats: Seat[] = [];
  readonly #dice: Dice;
  #servers = 0;

  constructor(world: World, name: keyof typeof CUTS, isCluster: boolean) {
    this.#world = world;
    this.#name = name;
    this.#dice = world.dice.fork();
    const servers = Array.from({ length: isCluster ? 4 : 2 }, () => this.#server(isCluster ? null : `${name}-0`));
    const primaries = servers.slice(0, servers.length / 2);
    this.cluster = isCluster ? new SimCluster(servers, CUTS[name]) : null;
    for (const [index, primary] of primaries.entries()) {
      const replica = primary.addReplica(servers[primaries.length + index] as SimServer);
      this.#seats.push({ primary, replica });
    }
    for (const server of isCluster ? servers : primaries) world.network.listen(server.host, PORT, server);
    this.url = `redis://${(primaries[0] as SimServer).host}:${PORT}`;
    this.#tick();
    this.#replicate();
  }

  get addresses(): readonly string[] {
    return this.primaries.map(({ host }) => `${host}:${PORT}`);
  }

  /** Servers that clients are served by now. */
  get primaries(): readonly SimServer[] {
    return this.#seats.map(({ primary }) => primary);
  }

  /** The server that clients are led to for a key. */
  ownerOf(key: string): SimServer {
    const owner = this.cluster?.ownerOf(slotOf(key)) ?? null;
    return owner ?? (this.#seats[0] as Seat).primary;
  }

  /**
   * Puts a primary's replica in its place, with what it has got so far: at the same address, or in a cluster at its own. `split`: the
   * former primary goes on for those who are connected to it, until `heal` is called.
   */
  failOver(former: SimServer, dice: Dice, split: boolean): { server: SimServer; lost: number; heal: () => void } {
    const seat = this.#seats.find(({ primary }) => primary === former);
    if (seat === undefined) throw new Error(`${former.name} is no primary`);
    if (dice.oneIn(2)) seat.replica.advance("all");
    const server = seat.replica.server;
    const lost = former.log.offset - server.log.offset;
    if (!split) former.crash();
    const heal = this.cluster === null ? this.#replace(seat, server) : this.#takeOver(this.cluster, seat, server, split);
    return { server, lost, heal };
  }

  #replace(seat: Seat, server: SimServer): () => void {
    const former = seat.primary;
    seat.replica.promote();
    seat.primary = server;
    this.#world.network.listen(server.host, PORT, server);
    seat.replica = server.addReplica(this.#server(server.host));
    return () => former.crash();
  }

  #takeOver(cluster: SimCluster, seat: Seat, server: SimServer, split: boolean): () => void {
    const former = seat.primary;
    if (split) cluster.hold(former);
    cluster.fail(former);
    cluster.failover(former, server);
    seat.primary = server;
    // What lags behind the new primary meanwhile has no address of its own.
    seat.replica = server.addReplica(this.#server(null));
    return () => {
      if (!former.isUp) former.restart("empty");
      cluster.release(former);
    };
  }

  /** Every server of a cluster has an address of its own; the replica of a single server takes over its primary's. */
  #server(host: string | null): SimServer {
    const { clock } = this.#world;
    const dice = this.#dice.fork();
    const number = this.#servers++;
    const own = `${this.#name}-${number}`;
    const server = new SimServer({
      name: own,
      host: host ?? own,
      port: PORT,
      nowMs: () => clock.nowMs(),
      random: () => dice.roll(),
      snapshotChunkBytes: 600,
    });
    if (this.cluster !== undefined && this.cluster !== null) {
      this.cluster.add(server);
      this.#world.network.listen(server.host, PORT, server);
    }
    return server;
  }

  #tick(): void {
    this.#world.scheduler.after(TICK_MS, null, () => {
      for (const { primary } of this.#seats) if (primary.isUp) primary.tick();
      this.#tick();
    });
  }

  /** A replica gets a few commands, or for a while none. */
  #replicate(): void {
    this.#world.scheduler.after(REPLICATE_MS, null, () => {
      for (const { replica } of this.#seats) if (!this.#dice.oneIn(3)) replica.advance(this.#dice.between(1, 20));
      this.#replicate();
    });
  }
}
