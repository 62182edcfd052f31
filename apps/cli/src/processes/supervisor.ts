import type { ProcessPlan } from "./process-plan.ts";
import { SupervisedProcess, type ProcessEvents } from "./supervised-process.ts";

/**
 * The processes of one run, in tiers: what starts later needs what started earlier. A process that dies is started again with
 * growing delay; tiers are stopped in reverse order. None outlives this process, not even when it is killed.
 */
export class Supervisor {
  readonly #tiers: SupervisedProcess[][] = [];
  readonly #events: ProcessEvents;
  #isEnding = false;

  constructor(events: ProcessEvents) {
    this.#events = events;
  }

  /** Name to process id, of those that are running. */
  get pids(): Record<string, number> {
    const pids: Record<string, number> = {};
    for (const { plan, pid } of this.#tiers.flat()) if (pid !== null) pids[plan.name] = pid;
    return pids;
  }

  /** Starts the next tier. Does nothing once it is ending. Throws `OperatorError` when a command can't be started. */
  async start(plans: readonly ProcessPlan[]): Promise<void> {
    if (this.#isEnding) return;
    const tier = plans.map((plan) => new SupervisedProcess(plan, this.#events));
    this.#tiers.push(tier);
    await Promise.all(tier.map((member) => member.start()));
  }

  /** Stops the last tier, then the one before it, and so on. Resolves when all have ended. */
  async stop(): Promise<void> {
    this.#isEnding = true;
    for (const tier of this.#tiers.toReversed()) await Promise.all(tier.map((member) => member.stop()));
  }

  /** Ends every process at once. */
  kill(): void {
    this.#isEnding = true;
    for (const member of this.#tiers.flat()) member.kill();
  }
}
