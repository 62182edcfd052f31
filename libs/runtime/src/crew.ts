import type { Logger } from "pino";
import type { Clock } from "./clock.ts";
import { supervise, type Actor } from "./run-loop.ts";

interface Member {
  readonly stopping: AbortController;
  readonly ended: Promise<void>;
  hasEnded: boolean;
}

/**
 * The actors that an instance runs right now, by name, each under its own supervision.
 * `keep` makes the crew equal to what is wanted: it starts what is missing and stops what is no longer wanted. An actor that
 * ended or halted by itself is not started again while it stays wanted.
 */
export class Crew {
  readonly #members = new Map<string, Member>();
  readonly #clock: Clock;
  readonly #log: Logger;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  get names(): readonly string[] {
    return [...this.#members.keys()];
  }

  /** Whether an actor that is listed has ended or halted, or is not listed. */
  hasEnded(name: string): boolean {
    return this.#members.get(name)?.hasEnded ?? true;
  }

  /** Starts and stops actors until exactly those named are running; `create` is called for each that starts. */
  keep(wanted: ReadonlySet<string>, create: (name: string) => Actor): void {
    for (const [name, member] of this.#members) {
      if (!wanted.has(name)) this.#dismiss(name, member);
    }
    for (const name of wanted) {
      if (!this.#members.has(name)) this.#start(create(name), name);
    }
  }

  /** Stops every actor and resolves when all have ended: a `keep` behind that starts them anew. */
  async stop(): Promise<void> {
    const members = [...this.#members];
    for (const [, member] of members) member.stopping.abort();
    await Promise.all(members.map(async ([, member]) => member.ended));
    for (const [name, member] of members) if (this.#members.get(name) === member) this.#members.delete(name);
  }

  #start(actor: Actor, name: string): void {
    const stopping = new AbortController();
    this.#log.info({ actor: actor.name }, "starting");
    const ended = supervise(actor, stopping.signal, this.#clock, this.#log);
    const member: Member = { stopping, ended, hasEnded: false };
    void ended.then(() => (member.hasEnded = true));
    this.#members.set(name, member);
  }

  /** A dismissed actor stays listed until it has ended, so that its successor by the same name never runs beside it. */
  #dismiss(name: string, member: Member): void {
    if (member.stopping.signal.aborted) return;
    this.#log.info({ actor: name }, "stopping: no longer wanted here");
    member.stopping.abort();
    void member.ended.then(() => this.#members.delete(name));
  }
}
