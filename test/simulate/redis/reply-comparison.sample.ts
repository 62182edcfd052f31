import { encodeCommand, ReplyError, type Reply } from "@sluice/redis";
import { decode, SimError, type SimReply } from "./sim-reply.ts";
import type { SimServer } from "./sim-server.ts";
import type { SimSession } from "./sim-session.ts";

/** How far clocks and programs may be apart where a time is relative. */
const CLOSE_MS = 5_000;
const UNORDERED = new Set(["smembers", "sunion", "sinter", "sdiff", "keys", "scan", "spop"]);

/** Where two servers part, and what led there. */
export interface Difference {
  readonly real: unknown;
  readonly model: unknown;
  readonly history: readonly string[];
}

/** A session of the model that answers one request at a time. */
export class ModelClient {
  readonly #session: SimSession;
  #answer = "";

  constructor(server: SimServer) {
    this.#session = server.connect({
      send: (bytes) => {
        this.#answer += bytes.toString("latin1");
      },
      hangUp: () => undefined,
    });
  }

  ask(args: readonly (string | Buffer)[]): SimReply {
    this.#answer = "";
    this.#session.receive(encodeCommand(args));
    return decode(this.#answer);
  }
}

/** Replies as text that can be compared: errors by their line, sets in order, times as what they are near to. */
export function shown(name: string, reply: Reply | SimReply): unknown {
  if (reply instanceof ReplyError || reply instanceof SimError) return `error ${reply.message}`;
  if (Buffer.isBuffer(reply)) return reply.toString("latin1");
  if (!Array.isArray(reply)) return typeof reply === "bigint" ? `integer ${reply}` : reply;
  const items = reply.map((item) => shown(name, item));
  if (name === "exec") return items.map((item) => sorted(item));
  return UNORDERED.has(name) ? items.map((item) => sorted(item)).toSorted(byText) : items;
}

function sorted(item: unknown): unknown {
  return Array.isArray(item) ? item.toSorted(byText) : item;
}

function byText(one: unknown, other: unknown): number {
  return String(one) < String(other) ? -1 : 1;
}

/** Equal, apart from times that differ by less than clocks may. */
export function isClose(one: unknown, other: unknown): boolean {
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((item, index) => isClose(item, other[index]));
  }
  if (one === other) return true;
  const [left, right] = [one, other].map((value) => Number(/^(\d{4,13})$/.exec(String(value))?.[1] ?? Number.NaN));
  return Math.abs((left ?? 0) - (right ?? 0)) < CLOSE_MS;
}

export function shortened(arg: string | Buffer): string {
  return arg
    .toString("latin1")
    .replaceAll(/[^ -~]+/g, ".")
    .slice(0, 40);
}
