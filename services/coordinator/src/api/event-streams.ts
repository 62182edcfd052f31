import type { ServerResponse } from "node:http";
import { describeFault, type Clock, type Logger } from "@sluice/runtime";
import type { StateEvent } from "@sluice/wire";
import { Refusal } from "../desk/refusal.ts";
import type { KnownPipeline, PipelineBook } from "../lifecycle/pipeline-book.ts";
import { cursorId, openCursor, type EventCursor } from "./event-cursor.ts";

const LOOK_EVERY_MS = 250;
const HEARTBEAT_MS = 10_000;
/** A client that reads so much slower than events come is cut off; it comes back with the last id that it got. */
const MOST_WAITING_BYTES = 1024 * 1024;
const MOST_CLIENTS = 64;
/** How long a browser waits before it comes back. */
const RETRY_MS = 2_000;

export interface EventStreamsDeps {
  /** Null while this coordinator stands by: its clients are sent away. */
  book(): PipelineBook | null;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Follower {
  readonly response: ServerResponse;
  /** Null for all pipelines. */
  readonly name: string | null;
  readonly cursor: EventCursor;
  readonly states: Map<string, string>;
  heardAtMs: number;
}

/**
 * The clients that follow events, as server-sent events (WHATWG HTML, "Server-sent events"). One loop looks at the records that
 * are in memory anyway, for as long as there is a client; a client costs what it was not told yet, and no more than 1 MiB.
 */
export class EventStreams {
  readonly #deps: EventStreamsDeps;
  readonly #followers = new Set<Follower>();
  #ending = new AbortController();
  #isLooking = false;

  constructor(deps: EventStreamsDeps) {
    this.#deps = deps;
  }

  get count(): number {
    return this.#followers.size;
  }

  /** Throws `Refusal` 429 API-004 when there are as many clients as are served at a time. */
  checkRoom(): void {
    if (this.#followers.size >= MOST_CLIENTS)
      throw new Refusal(429, "API-004", `${MOST_CLIENTS} clients follow events already, as many as are served`);
  }

  /** Answers with a stream of events of the pipeline `name` (null: of all) behind the event `after`, until the client leaves. */
  follow(response: ServerResponse, name: string | null, after: string | undefined): void {
    const cursor = openCursor(name === null, after);
    // It left while its request was looked at: no `close` follows.
    if (response.destroyed || response.closed) return;
    const follower = { response, name, cursor, states: new Map<string, string>(), heardAtMs: this.#deps.clock.monotonicMs() };
    this.#followers.add(follower);
    response.on("close", () => this.#followers.delete(follower));
    // A client that went away while it was written to; `close` follows.
    response.on("error", () => undefined);
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    });
    response.write(`retry: ${RETRY_MS}\n\n`);
    this.#look();
    if (!this.#isLooking) void this.#keepLooking();
  }

  /** Sends all clients away. */
  close(): void {
    this.#ending.abort();
    this.#ending = new AbortController();
    for (const follower of this.#followers) this.#dismiss(follower);
  }

  async #keepLooking(): Promise<void> {
    this.#isLooking = true;
    const { signal } = this.#ending;
    while (this.#followers.size > 0 && !signal.aborted) {
      await this.#deps.clock.sleep(LOOK_EVERY_MS, signal);
      if (!signal.aborted) this.#look();
    }
    this.#isLooking = false;
  }

  #look(): void {
    const book = this.#deps.book();
    const all = book?.all ?? [];
    for (const follower of this.#followers) {
      if (follower.response.destroyed) {
        this.#followers.delete(follower);
        continue;
      }
      const pipelines = follower.name === null ? all : all.filter(({ name }) => name === follower.name);
      const isGone = book === null || (follower.name !== null && pipelines.length === 0);
      try {
        if (!isGone) this.#tell(follower, pipelines);
      } catch (cause) {
        // It comes back, and is told what can be told then.
        this.#deps.log.warn({ cause: describeFault(cause) }, "a client that follows events is sent away");
        this.#dismiss(follower);
        continue;
      }
      if (isGone || follower.response.writableLength > MOST_WAITING_BYTES) this.#dismiss(follower);
    }
  }

  #tell(follower: Follower, pipelines: readonly KnownPipeline[]): void {
    const { response, cursor, states, name } = follower;
    const text: string[] = [];
    for (const event of cursor.take(pipelines)) {
      text.push(`id: ${cursorId(event, name === null)}\nevent: event\ndata: ${JSON.stringify(event)}\n\n`);
    }
    for (const known of pipelines) {
      const state = JSON.stringify(stateOf(known));
      if (states.get(known.name) === state) continue;
      states.set(known.name, state);
      text.push(`event: state\ndata: ${state}\n\n`);
    }
    const nowMs = this.#deps.clock.monotonicMs();
    if (text.length === 0 && nowMs - follower.heardAtMs >= HEARTBEAT_MS) text.push(": still here\n\n");
    if (text.length === 0) return;
    follower.heardAtMs = nowMs;
    response.write(text.join(""));
  }

  #dismiss(follower: Follower): void {
    this.#followers.delete(follower);
    if (follower.response.writableLength > MOST_WAITING_BYTES) follower.response.destroy();
    else follower.response.end();
  }
}

function stateOf({ name, spec, state }: KnownPipeline): StateEvent {
  return {
    pipeline: name,
    state: state?.value.state ?? "created",
    since: state?.value.since ?? spec?.value.createdAt ?? 0,
    reason: state?.value.reason ?? "",
  };
}
