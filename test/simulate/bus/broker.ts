import type { Dice } from "../world/dice.ts";
import type { Scheduler } from "../world/scheduler.ts";
import type { SimProcess } from "../world/sim-process.ts";

export interface KeptMessage {
  readonly sequence: number;
  readonly subject: string;
  readonly payload: Uint8Array;
}

/** A stream as a server of the bus keeps it: one log, read by subject. */
export class KeptStream {
  messages: KeptMessage[] = [];
  lastSequence = 0;
  maxBytes = -1;

  get bytes(): number {
    return this.messages.reduce((sum, { payload }) => sum + payload.length, 0);
  }

  last(subject: string): KeptMessage | null {
    return this.messages.findLast((message) => message.subject === subject) ?? null;
  }

  append(subject: string, payload: Uint8Array): KeptMessage {
    const message = { sequence: ++this.lastSequence, subject, payload };
    this.messages.push(message);
    return message;
  }

  /** Forgets the newest messages, as a server does that lost power before they were on disk: their sequences are given again. */
  loseTail(count: number): void {
    this.messages.splice(Math.max(0, this.messages.length - count), count);
    this.lastSequence = this.messages.at(-1)?.sequence ?? 0;
  }
}

interface KeptRecord {
  readonly value: string;
  readonly revision: number;
}

/** What a process asks is answered, refused, or never answered. */
type Asked<T> = { readonly answer: T } | { readonly refusal: Error };

/**
 * The bus of a world: one server with its streams and its records. What processes ask arrives after a while, in any order, and so
 * do the answers; any of them may be lost, and then the asker learns only that it does not know. Everything acknowledged is kept,
 * unless a fault makes the server forget.
 */
export class Broker {
  readonly streams = new Map<string, KeptStream>();
  readonly records = new Map<string, KeptRecord>();
  readonly #scheduler: Scheduler;
  readonly #dice: Dice;
  readonly #onRestart = new Map<() => void, SimProcess>();
  readonly #onRecord = new Set<(key: string) => void>();
  readonly #onMessage = new Set<(stream: string) => void>();
  #revision = 0;
  #isUp = true;
  #incarnation = 0;
  /** Longest time that a request or an answer takes on its way, in ms. */
  slownessMs = 1;
  /** One answer in so many is lost; 0: none. */
  lostAnswers = 0;
  /** Processes that can't reach it. */
  readonly parted = new Set<SimProcess>();

  constructor(scheduler: Scheduler, dice: Dice) {
    this.#scheduler = scheduler;
    this.#dice = dice;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  stop(): void {
    this.#isUp = false;
    this.#incarnation++;
    this.#tellRestart();
  }

  start(): void {
    this.#isUp = true;
    this.#tellRestart();
  }

  /** A process can't reach it for now: nothing that it asks arrives, and it hears nothing. */
  part(owner: SimProcess): void {
    this.parted.add(owner);
  }

  /** The process connects anew, and learns that it was away. */
  mend(owner: SimProcess): void {
    this.parted.delete(owner);
    this.#tellRestart(owner);
  }

  /** Calls `changed` when the connection of `owner` broke and when it stands again. */
  onRestart(owner: SimProcess, changed: () => void): () => void {
    this.#onRestart.set(changed, owner);
    return () => this.#onRestart.delete(changed);
  }

  #tellRestart(only?: SimProcess): void {
    for (const [tell, owner] of Array.from(this.#onRestart)) if (only === undefined || owner === only) tell();
  }

  onRecord(changed: (key: string) => void): () => void {
    this.#onRecord.add(changed);
    return () => this.#onRecord.delete(changed);
  }

  onMessage(stored: (stream: string) => void): () => void {
    this.#onMessage.add(stored);
    return () => this.#onMessage.delete(stored);
  }

  /** The first stream of a name is made when it is asked for. */
  stream(name: string): KeptStream {
    const stream = this.streams.get(name) ?? new KeptStream();
    this.streams.set(name, stream);
    return stream;
  }

  store(name: string, subject: string, payload: Uint8Array): KeptMessage {
    const message = this.stream(name).append(subject, payload);
    for (const tell of Array.from(this.#onMessage)) tell(name);
    return message;
  }

  /** Writes, or removes with null, and answers with the revision; null when the record is not at `expected`. */
  write(key: string, value: string | null, expected: number | null): number | null {
    const found = this.records.get(key)?.revision ?? 0;
    if (expected !== null && found !== expected) return null;
    const revision = ++this.#revision;
    if (value === null) this.records.delete(key);
    else this.records.set(key, { value, revision });
    for (const tell of Array.from(this.#onRecord)) tell(key);
    return revision;
  }

  /**
   * Has `serve` happen at the server for `owner`. Rejects when there is no server, when it goes away meanwhile, or after `limitMs`
   * without an answer; then it may have happened, or may happen still.
   */
  async ask<T>(owner: SimProcess, limitMs: number, serve: () => Asked<T>): Promise<T> {
    const scheduler = this.#scheduler;
    return new Promise<T>((resolve, reject) => {
      const incarnation = this.#incarnation;
      let isOver = false;
      const settle = (act: () => void): void => {
        if (isOver) return;
        isOver = true;
        forget();
        late();
        act();
      };
      const broken = (): void => settle(() => reject(new Error("the connection to the bus broke before the answer")));
      const forget = this.onRestart(owner, () => scheduler.after(this.latencyMs(), owner, broken));
      const late = scheduler.after(limitMs, owner, () => settle(() => reject(new Error(`no answer in ${limitMs} ms`))));
      if (!this.#isUp) {
        scheduler.after(this.latencyMs(), owner, broken);
        return;
      }
      scheduler.after(this.latencyMs(), null, () => {
        if (!this.#isUp || incarnation !== this.#incarnation || this.parted.has(owner)) return;
        const asked = serve();
        if (this.lostAnswers > 0 && this.#dice.oneIn(this.lostAnswers)) return;
        scheduler.after(this.latencyMs(), owner, () => {
          if (incarnation !== this.#incarnation || this.parted.has(owner)) return;
          settle(() => ("answer" in asked ? resolve(asked.answer) : reject(asked.refusal)));
        });
      });
    });
  }

  latencyMs(): number {
    return 0.05 + this.#dice.roll() * this.slownessMs;
  }

  get scheduler(): Scheduler {
    return this.#scheduler;
  }
}
