import { codes, type Clock, type Code } from "@sluice/runtime";
import {
  endpointKindOf,
  type EndpointKind,
  type HaltRecord,
  type OpenWindow,
  type Pipeline,
  type RetryRecord,
} from "@sluice/wire";
import { formatSpan } from "./format-span.ts";
import type { StateFacts } from "./state.ts";

/** An endpoint that is tried in vain now. */
export interface Wait {
  readonly endpoint: string;
  readonly kind: EndpointKind;
  readonly reason: string;
  /** The newest of what those who wait have written; null where nobody tries, absent where nobody can tell. */
  readonly revision?: number | null;
}

/** What a look at the waits has changed. */
export interface WindowChanges {
  readonly opened: readonly OpenWindow[];
  /** It answers again. */
  readonly recovered: readonly OpenWindow[];
  /** It was tried for as long as its window says. */
  readonly closed: OpenWindow | null;
}

const CLOSED_CODES: Readonly<Record<EndpointKind, Code>> = { source: "SRC-015", destination: "DST-019", bus: "BUS-010" };
/** A bound on what one pipeline may count at a time: a source of a thousand shards and all destinations. */
const MOST_WINDOWS = 1_024;
/** Whoever tries an endpoint says so again after each try: 30 s lie between two at most, and one may take a while. */
const UNTRIED_MS = 60_000;

/**
 * The endpoints that a pipeline waits for, each once: a source shard for everything that reads it, a destination for all its lanes.
 * What waits for the bus can't say so on the bus: that is counted where the bus is missed.
 */
export function waitsOf({ shards, lanes, watches }: Pick<StateFacts, "shards" | "lanes" | "watches">): Wait[] {
  const told = [...shards, ...lanes].map(({ owner, seen }) => ({
    retry: seen?.retry ?? null,
    // Who had the part before is gone, and the one that has it now has not said anything yet.
    revision: seen?.written === undefined ? undefined : seen.written.by === owner ? seen.written.revision : null,
  }));
  const waits = new Map<string, Wait>();
  for (const { retry, revision } of [...told, ...watches.map((watch) => ({ retry: watch.retry, revision: undefined }))]) {
    const wait = retry === null ? null : waitOf(retry);
    if (wait === null) continue;
    const known = waits.get(wait.endpoint);
    if (known === undefined && waits.size >= MOST_WINDOWS) continue;
    const newest = known === undefined ? revision : newer(known.revision, revision);
    waits.set(wait.endpoint, { ...(known ?? wait), ...(newest === undefined ? {} : { revision: newest }) });
  }
  return [...waits.values()];
}

function newer(one: number | null | undefined, other: number | null | undefined): number | null | undefined {
  if (one === undefined || other === undefined) return undefined;
  return one === null || other === null ? (one ?? other) : Math.max(one, other);
}

function waitOf({ endpoint, reason, isTurn }: RetryRecord): Wait | null {
  const kind = endpointKindOf(endpoint);
  if (kind === null || kind === "bus" || isTurn === true) return null;
  const [, name = ""] = endpoint.split(" ");
  // The router names the source by its pipeline: it may know of no shard yet.
  const isNamed = kind === "destination" || /^s\d+$/.test(name);
  return { endpoint: isNamed && name !== "" ? `${kind} ${name}` : kind, kind, reason };
}

/**
 * The retry windows of one pipeline: one for each endpoint, open from the first look that finds it waited for to the first that does not.
 *
 * Time is what passes on this coordinator's monotonic clock between two looks; what an earlier coordinator had counted is carried
 * over in a record. So a restart of the coordinator neither begins a window anew nor closes one by its own absence. Nor does that of
 * whoever tries the endpoint: while nobody does, the window stays open and its time stands still.
 */
export class RetryWindows {
  readonly #clock: Pick<Clock, "nowMs" | "monotonicMs">;
  readonly #open: Map<string, OpenWindow>;
  /** By endpoint, what those who try it wrote last, and when that was first seen. */
  readonly #tries = new Map<string, { readonly revision: number; readonly seenAtMs: number }>();
  #lookedAtMs: number;

  constructor(clock: Pick<Clock, "nowMs" | "monotonicMs">, carried: readonly OpenWindow[]) {
    this.#clock = clock;
    this.#open = new Map(carried.map((window) => [window.endpoint, window]));
    this.#lookedAtMs = clock.monotonicMs();
  }

  get open(): readonly OpenWindow[] {
    return [...this.#open.values()];
  }

  /** Takes in what is waited for now. */
  look(waits: readonly Wait[], retryWindow: Pipeline["retryWindow"]): WindowChanges {
    const nowMs = this.#clock.monotonicMs();
    const passedMs = Math.max(0, nowMs - this.#lookedAtMs);
    this.#lookedAtMs = nowMs;
    const opened: OpenWindow[] = [];
    const waited = new Map(waits.map((wait) => [wait.endpoint, wait]));
    for (const wait of waited.values()) {
      const { endpoint, kind, reason } = wait;
      const triedMs = this.#isTried(wait, nowMs) ? passedMs : 0;
      const known = this.#open.get(endpoint);
      const windowMs = retryWindow[kind];
      const since = known?.since ?? this.#clock.nowMs();
      const elapsedMs = known === undefined ? 0 : Math.round(known.elapsedMs + triedMs);
      const window = { endpoint, kind, since, elapsedMs, windowMs, reason };
      if (known === undefined) opened.push(window);
      this.#open.set(endpoint, window);
    }
    const recovered = this.open.filter(({ endpoint }) => !waited.has(endpoint));
    for (const { endpoint } of recovered) {
      this.#open.delete(endpoint);
      this.#tries.delete(endpoint);
    }
    const closed = this.open.find(({ elapsedMs, windowMs }) => elapsedMs >= windowMs) ?? null;
    return { opened, recovered, closed };
  }

  /** For the time up to now. */
  #isTried({ endpoint, revision }: Wait, nowMs: number): boolean {
    if (revision === undefined) return true;
    if (revision === null) return false;
    const known = this.#tries.get(endpoint);
    if (known?.revision !== revision) this.#tries.set(endpoint, { revision, seenAtMs: nowMs });
    return known === undefined || nowMs - known.seenAtMs <= UNTRIED_MS;
  }
}

/** What a pipeline fails with whose window has closed. */
export function failureOf(
  { endpoint, kind, elapsedMs, reason }: Omit<OpenWindow, "since" | "windowMs">,
  nowMs: number,
): HaltRecord {
  const code = CLOSED_CODES[kind];
  const message = `${endpoint} was tried in vain for ${formatSpan(elapsedMs)}, as long as its retry window says: ${reason}`;
  return { code, message, remedy: codes[code].remedy, at: nowMs };
}
