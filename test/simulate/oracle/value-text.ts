import type { SimServer } from "../redis/sim-server.ts";
import { ranked, type SimValue } from "../redis/sim-value.ts";

/** What a key holds, as texts that are equal for equal contents; it is there although its time may be over. */
export interface Held {
  /** Null: there is no such key. */
  readonly value: string | null;
  /** Ms since 1970; -1 where it does not expire. */
  readonly expireAtMs: number;
}

const NOTHING: Held = { value: null, expireAtMs: -1 };

export function heldBy(server: SimServer, db: number, key: string): Held {
  const entry = server.entries(db).get(key);
  return entry === undefined ? NOTHING : { value: valueText(entry.value), expireAtMs: entry.expireAtMs };
}

function valueText(value: SimValue): string {
  switch (value.type) {
    case "string":
      return `string ${value.text}`;
    case "list":
      return `list ${value.items.join(",")}`;
    case "set":
      return `set ${[...value.members].toSorted().join(",")}`;
    case "hash":
      return `hash ${[...value.fields]
        .map(([field, text]) => `${field}=${text}`)
        .toSorted()
        .join(",")}`;
    case "zset":
      return `zset ${ranked(value)
        .map(([member, score]) => `${member}=${score}`)
        .join(",")}`;
  }
}
