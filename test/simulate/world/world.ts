import { silentLog, type Clock, type Logger } from "@sluice/runtime";
import { Broker } from "../bus/broker.ts";
import { busOf } from "../bus/sim-bus.ts";
import { Dice } from "./dice.ts";
import { Network } from "./network.ts";
import { Scheduler } from "./scheduler.ts";
import { SimProcess } from "./sim-process.ts";
import { runSimService, type ServiceName } from "./sim-service.ts";
import { connectIn } from "./simulated-socket.ts";
import { clockOf, live } from "./virtual-time.ts";

/** A process that ended by itself is started again after this time, as its supervisor would. */
const RESTART_MS = 500;

/** Everything that there is in one run: time, network, bus, and the processes of Sluice. */
export class World {
  readonly scheduler = new Scheduler();
  readonly clock: Clock = clockOf(this.scheduler);
  readonly dice: Dice;
  readonly network: Network;
  readonly broker: Broker;
  readonly #processes = new Map<string, SimProcess>();
  readonly #services = new Map<string, ServiceName>();
  readonly #log: Logger;
  /** What ended processes said last. */
  readonly deaths: string[] = [];

  constructor(seed: number, log: Logger = silentLog()) {
    this.dice = new Dice(seed);
    this.network = new Network(this.scheduler, this.dice.fork());
    this.broker = new Broker(this.scheduler, this.dice.fork());
    this.#log = log;
    live(this.scheduler);
    connectIn(this.network);
  }

  get instances(): readonly string[] {
    return [...this.#services.keys()];
  }

  process(instance: string): SimProcess | null {
    return this.#processes.get(instance) ?? null;
  }

  /** Starts an instance of a service; it is started again whenever it ends by itself. */
  start(service: ServiceName, instance: string): void {
    const process = new SimProcess(instance, this.scheduler);
    this.#services.set(instance, service);
    this.#processes.set(instance, process);
    this.scheduler.after(0, process, () => {
      const bus = busOf(this.broker, process);
      const log = this.#log.child({ instance });
      runSimService(service, { instance, bus, clock: this.clock, log }).catch((cause: unknown) => {
        this.deaths.push(`${instance}: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`);
        this.kill(instance, RESTART_MS);
      });
    });
  }

  /** kill -9, and a new start after `awayMs`. */
  kill(instance: string, awayMs: number): void {
    const service = this.#services.get(instance);
    const process = this.#processes.get(instance);
    if (service === undefined || process?.isAlive !== true) return;
    process.kill();
    this.scheduler.after(awayMs, null, () => this.start(service, instance));
  }

  /** Ends the world: nothing of it happens any more. */
  end(): void {
    for (const process of this.#processes.values()) process.kill();
    this.#services.clear();
  }
}
