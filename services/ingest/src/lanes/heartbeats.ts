import type { Clock } from "@sluice/runtime";
import type { ChangeBatcher } from "./change-batcher.ts";
import type { Feed } from "./lane-feed.ts";

/** A lane that has nothing of its own learns how far the stream is when the source has been quiet for so long … */
const QUIET_MS = 200;
/** … and at least so often while it is not. */
const HEARTBEAT_MS = 5_000;

/** How far the source's stream was read. */
export interface ReadStream {
  /** End of the last unit. */
  readonly boundary: number;
  /** The database that is selected there. */
  readonly db: number;
  readonly isInTransaction: boolean;
}

/** Tells lanes that have nothing of their own how far the stream is. */
export class Heartbeats {
  readonly #lanes: readonly Pick<Feed<ChangeBatcher>, "batcher" | "publisher">[];
  readonly #stream: ReadStream;
  readonly #clock: Clock;
  readonly #beating: NodeJS.Timeout;
  #heardAtMs: number;
  #toldAtMs = 0;

  constructor(lanes: readonly Feed<ChangeBatcher>[], stream: ReadStream, clock: Clock) {
    this.#lanes = lanes;
    this.#stream = stream;
    this.#clock = clock;
    this.#heardAtMs = clock.monotonicMs();
    this.#beating = setInterval(() => this.#beat(), QUIET_MS);
  }

  /** The source sent something. */
  heard(): void {
    this.#heardAtMs = this.#clock.monotonicMs();
  }

  end(): void {
    clearInterval(this.#beating);
  }

  #beat(): void {
    const { boundary, db, isInTransaction } = this.#stream;
    if (isInTransaction) return;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#heardAtMs < QUIET_MS && nowMs - this.#toldAtMs < HEARTBEAT_MS) return;
    this.#toldAtMs = nowMs;
    for (const { batcher, publisher } of this.#lanes) {
      if (!batcher.isEmpty || batcher.last >= boundary) continue;
      batcher.heartbeat(boundary, db);
      publisher.poke();
    }
  }
}
