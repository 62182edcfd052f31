import { encodeCommand, type CommandArgument } from "@sluice/redis";
import { NO_EXPIRY, SnapshotRows } from "@sluice/wire";
import { valueCommands, type ValueCommand, type ValueOptions } from "../snapshot/value-commands.ts";
import { keyOfPlace } from "./commands-of.ts";
import type { KeyImage } from "./source-keys.ts";

/** The commands that make a key what its image says, in the forms of a full copy. Throws `Halt` DST-006 as `valueCommands` does. */
export function imageCommands({ place, value, expireAtMs }: KeyImage, options: ValueOptions): ValueCommand[] {
  const { db, key } = keyOfPlace(place);
  if (value === null) return [{ before: ["DEL", key], pieces: [], after: [] }];
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
  return valueCommands({ rows, row: 0, key, value: [value.value] }, options);
}

/** A command with its pieces joined, in RESP. */
export function joinedCommand({ before, pieces, after }: ValueCommand): Buffer {
  const args: CommandArgument[] = [...before];
  if (pieces.length > 0) args.push(pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces));
  return encodeCommand([...args, ...after]);
}
