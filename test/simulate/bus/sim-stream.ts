import type { AppendResult, LaneReader, LaneStream, PlacedMessage, StoredMessage, StreamSize } from "@sluice/bus";
import { Retryable } from "@sluice/runtime";
import { streamName } from "@sluice/wire";
import type { SimProcess } from "../world/sim-process.ts";
import type { Broker, KeptStream } from "./broker.ts";

const REQUEST_LIMIT_MS = 5_000;
/** Messages that a reader is sent ahead of what it takes. */
const WINDOW = 8;

/** What `LaneStream` promises, kept by the broker of a world. */
export class SimStream implements Pick<LaneStream, "name" | "ensure" | "size" | "tail" | "at" | "append" | "trim" | "remove"> {
  readonly name: string;
  readonly #broker: Broker;
  readonly #owner: SimProcess;

  constructor(broker: Broker, owner: SimProcess, pipeline: string) {
    this.name = streamName(pipeline);
    this.#broker = broker;
    this.#owner = owner;
  }

  async ensure(): Promise<void> {
    await this.#asked(() => this.#broker.stream(this.name));
  }

  async size(): Promise<StreamSize | null> {
    return this.#asked((stream) =>
      stream === null
        ? null
        : {
            messages: stream.messages.length,
            bytes: stream.bytes,
            limitBytes: stream.maxBytes >= 0 ? stream.maxBytes : null,
          },
    );
  }

  async tail(subject: string): Promise<StoredMessage | null> {
    return this.#asked((stream) => stream?.last(subject) ?? null);
  }

  async at(sequence: number): Promise<PlacedMessage | null> {
    return this.#asked((stream) => stream?.messages.find((message) => message.sequence === sequence) ?? null);
  }

  async append(subject: string, payload: Uint8Array, expectedSequence: number): Promise<AppendResult> {
    const copy = Uint8Array.from(payload);
    const broker = this.#broker;
    let full = false;
    try {
      return await broker.ask<AppendResult>(this.#owner, REQUEST_LIMIT_MS, () => {
        const stream = broker.streams.get(this.name);
        if (stream === undefined) return { refusal: new Error("no such stream") };
        if ((stream.last(subject)?.sequence ?? 0) !== expectedSequence) return { answer: { outcome: "refused" } };
        if (stream.maxBytes >= 0 && stream.bytes + copy.length > stream.maxBytes) {
          full = true;
          return { refusal: new Error("maximum bytes exceeded") };
        }
        return { answer: { outcome: "stored", sequence: broker.store(this.name, subject, copy).sequence } };
      });
    } catch (cause) {
      if (full) throw new Retryable("BUS-005", "bus", `stream ${this.name} takes no more`, { cause });
      return { outcome: "unknown", cause };
    }
  }

  async read(subject: string, fromSequence: number): Promise<LaneReader> {
    await this.#asked((stream) => stream);
    return new SimReader(this.#broker, this.#owner, this.name, subject, fromSequence) as unknown as LaneReader;
  }

  async trim(subject: string, sequence: number): Promise<number> {
    return this.#asked((stream) => {
      if (stream === null) return 0;
      const before = stream.messages.length;
      stream.messages = stream.messages.filter((message) => message.subject !== subject || message.sequence >= sequence);
      return before - stream.messages.length;
    });
  }

  async remove(): Promise<void> {
    await this.#asked(() => this.#broker.streams.delete(this.name));
  }

  async #asked<T>(serve: (stream: KeptStream | null) => T): Promise<T> {
    try {
      return await this.#broker.ask(this.#owner, REQUEST_LIMIT_MS, () => ({
        answer: serve(this.#broker.streams.get(this.name) ?? null),
      }));
    } catch (cause) {
      throw new Retryable("BUS-001", "bus", "JetStream did not answer as expected", { cause });
    }
  }
}

/** What `LaneReader` promises: a subject from a sequence on, in order, until the bus goes away. */
class SimReader implements Pick<LaneReader, "next" | "nextIfReady" | "close"> {
  readonly #broker: Broker;
  readonly #owner: SimProcess;
  readonly #stream: string;
  readonly #subject: string;
  readonly #buffered: StoredMessage[] = [];
  readonly #forget: (() => void)[];
  #from: number;
  #onItsWay = 0;
  #arrivesMs = 0;
  #isClosed = false;
  #failure: Error | null = null;
  #wake: (() => void) | null = null;

  constructor(broker: Broker, owner: SimProcess, stream: string, subject: string, fromSequence: number) {
    this.#broker = broker;
    this.#owner = owner;
    this.#stream = stream;
    this.#subject = subject;
    this.#from = Math.max(1, fromSequence);
    this.#forget = [
      broker.onRestart(owner, () => broker.scheduler.after(broker.latencyMs(), owner, () => this.#fail())),
      broker.onMessage((name) => {
        if (name === stream) this.#deliver();
      }),
    ];
    owner.onEnd(() => this.#end());
    this.#deliver();
  }

  async next(): Promise<StoredMessage | null> {
    for (;;) {
      const message = this.nextIfReady();
      if (message !== undefined) return message;
      if (this.#isClosed) return null;
      if (this.#failure !== null)
        throw new Retryable("BUS-001", "bus", `reading of ${this.#stream} broke off`, { cause: this.#failure });
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  nextIfReady(): StoredMessage | undefined {
    const message = this.#buffered.shift();
    if (message !== undefined) this.#deliver();
    return message;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#buffered.length = 0;
    this.#end();
    this.#notify();
  }

  #deliver(): void {
    const { scheduler } = this.#broker;
    if (this.#isClosed || this.#failure !== null || this.#broker.parted.has(this.#owner)) return;
    const stream = this.#broker.streams.get(this.#stream);
    for (const message of stream?.messages ?? []) {
      if (this.#onItsWay + this.#buffered.length >= WINDOW) return;
      if (message.subject !== this.#subject || message.sequence < this.#from) continue;
      this.#from = message.sequence + 1;
      this.#onItsWay++;
      this.#arrivesMs = Math.max(this.#arrivesMs, scheduler.nowMs + this.#broker.latencyMs());
      scheduler.at(this.#arrivesMs, this.#owner, () => {
        this.#onItsWay--;
        if (this.#isClosed || this.#failure !== null) return;
        this.#buffered.push({ sequence: message.sequence, payload: message.payload });
        this.#notify();
      });
    }
  }

  #fail(): void {
    this.#failure ??= new Error("the connection broke");
    this.#end();
    this.#notify();
  }

  #end(): void {
    for (const forget of this.#forget.splice(0)) forget();
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
