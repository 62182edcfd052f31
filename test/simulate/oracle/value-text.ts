import { slotOfKey } from "../redis/key-slot.ts";
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

/** As `heldBy`; while the key's slot is on its way, what the node at its other end holds counts, too. */
export function heldAround(server: SimServer, db: number, key: string): Held {
  const held = heldBy(server, db, key);
  const other = held.value === null ? otherEnd(server, key) : null;
  return other === null ? held : heldBy(other, db, key);
}

function otherEnd(server: SimServer, key: string): SimServer | null {
  const slot = slotOfKey(key);
  return server.cluster?.migratingTo(server, slot) ?? server.cluster?.importingFrom(server, slot) ?? null;
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
