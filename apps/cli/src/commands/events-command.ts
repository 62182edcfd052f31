import type { ApiEvent } from "@sluice/wire";
import { eventFeed } from "../api/event-feed.ts";
import { Interrupts } from "../run/interrupts.ts";
import { eventLine } from "../view/event-line.ts";
import { clientOf, hint, type ApiOptions } from "./asking.ts";

export interface EventsOptions extends ApiOptions {
  readonly follow?: boolean;
  /** So many of the newest; only without `follow`. */
  readonly last: number;
}

/** `sluice events`: what happened to a pipeline, or to all; with `follow` also what happens, until it is interrupted. */
export async function showEvents(pipeline: string | undefined, options: EventsOptions): Promise<void> {
  const api = clientOf(options);
  const { json = false } = options;
  const print = (event: ApiEvent): unknown => process.stdout.write(`${json ? JSON.stringify(event) : eventLine(event)}\n`);
  if (options.follow !== true) {
    const events = await api.events(pipeline ?? null, options.last);
    for (const event of events) print(event);
    if (events.length === 0) hint(options, "nothing has happened yet");
    return;
  }
  const interrupts = new Interrupts(() => process.exit(1));
  try {
    const away = (reason: string): void => hint(options, `${reason}; it is asked again`);
    for await (const event of eventFeed(api, { pipeline: pipeline ?? null, signal: interrupts.signal, away })) print(event);
    hint(options, `to go on: sluice events ${pipeline === undefined ? "" : `${pipeline} `}--follow`);
  } finally {
    interrupts.close();
  }
}
