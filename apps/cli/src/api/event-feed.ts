import { setTimeout as delay } from "node:timers/promises";
import { apiEvent, type ApiEvent } from "@sluice/wire";
import { ApiUnreachable, type ApiClient } from "./api-client.ts";
import { SseParser } from "./sse-parser.ts";

/** The API sends a comment every 10 s. */
const SILENCE_LIMIT_MS = 30_000;
const RECONNECT_MS = 2_000;
/** Of all pipelines some events come twice after a reconnection: those of the last minute. */
const MOST_REMEMBERED = 5_000;

export interface EventFeedOptions {
  /** Null for all pipelines. */
  readonly pipeline: string | null;
  readonly signal: AbortSignal;
  /** Called once for every time that the API is away, with the reason. */
  readonly away: (reason: string) => void;
  readonly reconnectMs?: number;
}

/**
 * The events that are kept and then those that happen, each once, until `signal` aborts. A stream that ends, breaks off or is silent is
 * opened again behind the last event. Throws `ApiRefusal` where the API refuses it, which it does also when the pipeline was deleted.
 */
export async function* eventFeed(api: ApiClient, options: EventFeedOptions): AsyncGenerator<ApiEvent> {
  const { pipeline, signal, away, reconnectMs = RECONNECT_MS } = options;
  const seen = new Set<string>();
  let after: string | null = null;
  let isAway = false;
  while (!signal.aborted) {
    try {
      for await (const { id, event } of onceThrough(api, pipeline, after, signal)) {
        isAway = false;
        after = id ?? after;
        if (event === null) continue;
        const key = `${event.pipeline} ${event.id} ${event.at}`;
        if (seen.has(key)) continue;
        seen.add(key);
        if (seen.size > MOST_REMEMBERED) seen.delete(seen.values().next().value as string);
        yield event;
      }
    } catch (cause) {
      if (signal.aborted) return;
      if (!(cause instanceof ApiUnreachable)) throw cause;
      if (!isAway) away(cause.message);
      isAway = true;
    }
    await delay(reconnectMs, undefined, { signal }).catch(() => undefined);
  }
}

interface Received {
  readonly id: string | null;
  /** Null for what is no event, such as a state. */
  readonly event: ApiEvent | null;
}

/** One connection, to its end. Throws `ApiUnreachable` where it breaks off. */
async function* onceThrough(
  api: ApiClient,
  pipeline: string | null,
  after: string | null,
  signal: AbortSignal,
): AsyncGenerator<Received> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), SILENCE_LIMIT_MS);
  try {
    const answer = await api.openEvents(pipeline, after, AbortSignal.any([signal, silence.signal]));
    answer.setEncoding("utf8");
    const parser = new SseParser();
    for await (const text of answer as AsyncIterable<string>) {
      timer.refresh();
      for (const { id, event, data } of parser.push(text)) yield { id, event: event === "event" ? eventIn(data) : null };
    }
  } catch (cause) {
    if (cause instanceof Error && !("exitCode" in cause))
      throw new ApiUnreachable(`the stream of events broke off: ${cause.message}`);
    throw cause;
  } finally {
    clearTimeout(timer);
  }
}

/** Null where a newer release tells something that this one can't read. */
function eventIn(data: string): ApiEvent | null {
  try {
    return apiEvent.safeParse(JSON.parse(data)).data ?? null;
  } catch {
    return null;
  }
}
