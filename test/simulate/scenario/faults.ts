import type { World } from "../world/world.ts";
import type { Pair } from "./pair.ts";
import type { Fault, FaultKind, Plan } from "./plan.ts";

const REFUSALS = ["OOM", "LOADING", "BUSY", "READONLY", "MISCONF", "NOREPLICAS"] as const;

/** Makes go wrong what a plan says, and puts right what does not end by itself. */
export class Faults {
  readonly #world: World;
  readonly #pair: Pair;
  readonly #plan: Plan;
  readonly #mend = new Set<() => void>();
  /** What happened so far, with its time. */
  readonly happened: string[] = [];

  constructor(world: World, pair: Pair, plan: Plan) {
    this.#world = world;
    this.#pair = pair;
    this.#plan = plan;
  }

  schedule(): void {
    for (const fault of this.#plan.faults) {
      this.#world.scheduler.at(fault.atMs, null, () => {
        const what = this.#make[fault.kind](fault);
        this.happened.push(`${fault.atMs} ms: ${fault.kind}${what === undefined ? "" : ` (${what})`}, ${fault.forMs} ms`);
      });
    }
  }

  /** From here on nothing is wrong any more. */
  end(): void {
    for (const mend of Array.from(this.#mend)) mend();
  }

  /** Calls `mend` when the fault's time is over, or at the end of all faults. */
  #until(fault: Fault, mend: () => void): void {
    const once = (): void => {
      if (this.#mend.delete(once)) mend();
    };
    this.#mend.add(once);
    this.#world.scheduler.after(fault.forMs, null, once);
  }

  readonly #make: Readonly<Record<FaultKind, (fault: Fault) => string | void>> = {
    kill: (fault) => {
      const instance = fault.dice.pick(this.#world.instances);
      this.#world.kill(instance, fault.forMs);
      return instance;
    },
    suspend: (fault) => {
      const process = this.#process(fault);
      process?.suspend();
      this.#until(fault, () => process?.resume());
      return process?.name;
    },
    "part from bus": (fault) => {
      const process = this.#process(fault);
      if (process === null) return;
      this.#world.broker.part(process);
      this.#until(fault, () => this.#world.broker.mend(process));
      return process.name;
    },
    "part from source": (fault) => this.#part(fault, this.#pair.source.addresses),
    "part from destination": (fault) => this.#part(fault, this.#pair.destination.addresses),
    "cut source": (fault) => this.#cut(fault, this.#pair.source.addresses),
    "cut destination": (fault) => this.#cut(fault, this.#pair.destination.addresses),
    "bus restarts": (fault) => {
      this.#world.broker.stop();
      this.#until(fault, () => this.#world.broker.start());
    },
    "bus answers get lost": (fault) => {
      this.#world.broker.lostAnswers = fault.dice.between(2, 6);
      this.#until(fault, () => (this.#world.broker.lostAnswers = 0));
    },
    "bus loses its tail": (fault) => {
      const lost = fault.dice.between(1, 6);
      this.#world.broker.stop();
      for (const stream of this.#world.broker.streams.values()) stream.loseTail(lost);
      this.#until(fault, () => this.#world.broker.start());
      return `${lost} messages`;
    },
    "bus is full": (fault) => {
      const { streams } = this.#world.broker;
      for (const stream of streams.values()) stream.maxBytes = stream.bytes + fault.dice.between(0, 2_000);
      this.#until(fault, () => {
        for (const stream of streams.values()) stream.maxBytes = -1;
      });
    },
    "source fails over": (fault) => this.#pair.failSourceOver(fault.dice, false),
    "source splits": (fault) => this.#pair.failSourceOver(fault.dice, true),
    "source restarts": (fault) => {
      const server = fault.dice.pick(this.#pair.source.primaries);
      server.crash();
      this.#until(fault, () => this.#pair.restartSource(server));
      return server.name;
    },
    "source slots move": (fault) => this.#pair.moveSlots(this.#pair.source, fault.dice, fault.forMs),
    "destination slots move": (fault) => this.#pair.moveSlots(this.#pair.destination, fault.dice, fault.forMs),
    "source sends damaged copies": (fault) => {
      const server = fault.dice.pick(this.#pair.source.primaries);
      server.damagesCopies = true;
      this.#until(fault, () => (server.damagesCopies = false));
    },
    "destination fails over": (fault) => this.#pair.failDestinationOver(fault.dice),
    "destination restarts": (fault) => {
      const server = fault.dice.pick(this.#pair.destination.primaries);
      server.crash();
      this.#until(fault, () => server.restart("same"));
      return server.name;
    },
    "destination is emptied": (fault) => {
      const server = fault.dice.pick(this.#pair.destination.primaries);
      // What had not left with its slot's mark would be lost unnoticed, see docs/guarantees.md.
      if ((server.cluster?.movingSlots(server).migrating.size ?? 0) > 0) return "not while slots leave it";
      this.#pair.destinationLost(server, () => server.call(["FLUSHALL"]));
      return server.name;
    },
    "destination refuses": (fault) => {
      const server = fault.dice.pick(this.#pair.destination.primaries);
      server.failWith = fault.dice.pick(REFUSALS);
      this.#until(fault, () => (server.failWith = null));
      return server.failWith;
    },
    "scripts are flushed": (fault) => {
      fault.dice.pick(this.#pair.destination.primaries).call(["SCRIPT", "FLUSH"]);
    },
    "everything is slow": (fault) => {
      const { network, broker } = this.#world;
      network.slownessMs = 40;
      broker.slownessMs = 40;
      this.#until(fault, () => {
        network.slownessMs = 1;
        broker.slownessMs = 1;
      });
    },
  };

  #process(fault: Fault): ReturnType<World["process"]> {
    return this.#world.process(fault.dice.pick(this.#world.instances));
  }

  #part(fault: Fault, addresses: readonly string[]): string {
    const address = fault.dice.pick(addresses);
    this.#world.network.part(address);
    this.#until(fault, () => this.#world.network.mend(address));
    return address;
  }

  #cut(fault: Fault, addresses: readonly string[]): string {
    const address = fault.dice.pick(addresses);
    this.#world.network.cut(address);
    return address;
  }
}
