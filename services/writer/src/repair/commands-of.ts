import { CommandFramer, commandTable, type FramedCommand } from "@sluice/redis";
import type { ChangeRows } from "@sluice/wire";
import { COPY as COPY_SCRIPT } from "../rewrite/scripts.ts";

/** A key in its database, as `database:key` with the key's bytes as latin1 text: the field it has in the hash of repaired keys. */
export type Place = string;

/** One command with all that it names. */
export interface PlacedCommand {
  /** Number in `commandTable`, -1 where it is not known. */
  readonly id: number;
  readonly db: number;
  /** Null where it can't be told which keys it names. */
  readonly places: readonly Place[] | null;
  /** The two databases that it swaps: SWAPDB. */
  readonly swaps?: readonly [number, number];
  /** Its arguments, the name first. Views; they hold until the next command is asked for. */
  readonly argument: (index: number) => Buffer;
  readonly argc: number;
}

/** A slice's rows from `from` up to, not including, `until`. */
export interface RowSpan {
  readonly slice: { readonly rows: ChangeRows; readonly body: Buffer };
  readonly from: number;
  readonly until: number;
}

const MOVE = commandTable.idOf("MOVE");
const SWAPDB = commandTable.idOf("SWAPDB");
const COPY = commandTable.idOf("COPY");
/** What stands for COPY where there is none: EVAL script 2 from to database replace. */
const EVAL = commandTable.idOf("EVAL");
const SCRIPTED_COPY_ARGS = 7;
const COPY_SCRIPT_BYTES = Buffer.from(COPY_SCRIPT);

export function placeOf(db: number, key: Buffer): Place {
  return `${db}:${key.toString("latin1")}`;
}

export function keyOfPlace(place: Place): { db: number; key: Buffer } {
  const colon = place.indexOf(":");
  return { db: Number(place.slice(0, colon)), key: Buffer.from(place.slice(colon + 1), "latin1") };
}

/** The commands of the rows, in order, each with its row. */
export function* commandsOf({ slice, from, until }: RowSpan): Generator<{ row: number; command: PlacedCommand }> {
  const { rows, body } = slice;
  let at = 0;
  for (let row = 0; row < from; row++) at += rows.lengths[row] as number;
  const framer = new CommandFramer();
  let end = at;
  for (let row = from; row < until; row++) end += rows.lengths[row] as number;
  framer.push(body.subarray(at, end));
  for (let row = from; row < until && framer.next(); row++) {
    yield { row, command: placed(framer, rows.dbs[row] as number) };
  }
}

/** One whole command in RESP. */
export function commandOf(raw: Buffer, db: number): PlacedCommand {
  const framer = new CommandFramer({}, raw);
  if (!framer.next()) throw new Error("expected a whole command");
  return placed(framer, db);
}

function placed(framer: FramedCommand, db: number): PlacedCommand {
  const id = commandTable.idOfCommand(framer);
  const argument = (index: number): Buffer => {
    const start = framer.argStarts[index] as number;
    return framer.buffer.subarray(start, start + (framer.argLengths[index] as number));
  };
  const command = { id, db, places: placesOf(id, framer, db, argument), argument, argc: framer.argc };
  return id === SWAPDB && framer.argc === 3 ? { ...command, swaps: [Number(argument(1)), Number(argument(2))] } : command;
}

/** Where what stands at the places goes by a SWAPDB: those of the two databases, each in the other one. */
export function swappedPlaces(places: Iterable<Place>, [one, two]: readonly [number, number]): Place[] {
  const swapped: Place[] = [];
  for (const place of places) {
    const { db, key } = keyOfPlace(place);
    if (db === one) swapped.push(placeOf(two, key));
    else if (db === two) swapped.push(placeOf(one, key));
  }
  return swapped;
}

function placesOf(id: number, framer: FramedCommand, db: number, argument: (index: number) => Buffer): Place[] | null {
  if (id < 0) return null;
  const args = new Int32Array(framer.argc);
  const count = commandTable.keyArgs(id, framer, args);
  if (count < 0) return null;
  const places = Array.from(args.subarray(0, count), (index) => placeOf(db, argument(index)));
  const [first, second] = places;
  // The only commands with keys in two databases.
  if (id === MOVE && first !== undefined) places.push(placeOf(Number(argument(2)), argument(1)));
  if (id === COPY && second !== undefined && framer.argc > 4) {
    for (let index = 3; index + 1 < framer.argc; index++) {
      if (argument(index).toString("latin1").toUpperCase() === "DB") {
        places[1] = placeOf(Number(argument(index + 1)), argument(2));
      }
    }
  }
  const isScripted = id === EVAL && framer.argc === SCRIPTED_COPY_ARGS && second !== undefined;
  if (isScripted && argument(5).length > 0 && argument(1).equals(COPY_SCRIPT_BYTES))
    places[1] = placeOf(Number(argument(5)), argument(4));
  return places;
}
