import { encodeCommand, type CommandArgument } from "@sluice/redis";
import { NO_EXPIRY, SnapshotRows } from "@sluice/wire";
import type { SnapshotValue } from "../lane-destination.ts";
import type { ValueCommand } from "../snapshot/value-commands.ts";
import { keyOfPlace } from "./commands-of.ts";
import type { KeyImage } from "./source-keys.ts";

/** A key from the source as an entry of a full copy; null where the source has no such key. */
export function imageValue({ place, value, expireAtMs }: KeyImage): SnapshotValue | null {
  if (value === null) return null;
  const { db, key } = keyOfPlace(place);
  const rows = new SnapshotRows(1);
  rows.add({
    expireAtMs: expireAtMs ?? NO_EXPIRY,
    length: key.length + value.value.length,
    keyLength: key.length,
    access: 0,
    slot: 0,
    db,
    type: value.type,
    accessKind: 0,
  });
  return { rows, row: 0, key, value: [value.value] };
}

/** Deletes a key that the source does not have. */
export function absentCommand({ place }: KeyImage): ValueCommand {
  return { before: ["DEL", keyOfPlace(place).key], pieces: [], after: [] };
}

/** A command with its pieces joined, in RESP. */
export function joinedCommand({ before, pieces, after }: ValueCommand): Buffer {
  const args: CommandArgument[] = [...before];
  if (pieces.length > 0) args.push(pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces));
  return encodeCommand([...args, ...after]);
}
