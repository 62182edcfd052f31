import {
  FieldCommands,
  ItemCommands,
  ScoreCommands,
  StringCommands,
  type CommandMaker,
  type MakerOptions,
} from "./collection-commands.ts";
import type { ElementCommand } from "./command-chunk.ts";
import { DestinationLimits, type DestinationServer } from "./destination-limits.ts";
import { ElementReader, hasElements, type ElementReaderOptions } from "./element-reader.ts";
import { mergedIds, PendingIds } from "./pending-ids.ts";
import { StreamCommands } from "./stream-commands.ts";
import { rdbTypeName } from "../rdb/rdb-type.ts";

const DEFAULT_MAX_BYTES = 512 * 1024;
const DEFAULT_MAX_ELEMENTS = 1000;

export interface ElementCommandOptions extends ElementReaderOptions {
  /** Where the value is built: a key that does not exist, since most commands add to what is there. */
  readonly key: Buffer;
  readonly destination: DestinationServer;
  /** Of one command's elements; one that is longer is alone in its command. Default 512 KiB. */
  readonly maxBytes?: number;
  /** Of one command. Default 1000. */
  readonly maxElements?: number;
  /** What becomes of the expiry of a hash's field, absolute in ms; below 1 it becomes 1. Default: itself. */
  readonly shift?: (expireAtMs: number) => number;
  /**
   * Called with what the destination can't hold, once for each: what it returns from is left out of the value. To refuse the value
   * instead, it throws.
   */
  readonly lacks: (what: string) => void;
  /** Of a stream: `pendingIds` of its value. Without it, entries that are pending but were deleted are not carried. */
  readonly pending?: PendingIds;
}

type Maker = (options: MakerOptions, pending: PendingIds) => CommandMaker;

const string: Maker = (options) => new StringCommands(options);
const list: Maker = (options) => new ItemCommands("RPUSH", options);
const set: Maker = (options) => new ItemCommands("SADD", options);
const zset: Maker = (options) => new ScoreCommands(options);
const hash: Maker = (options) => new FieldCommands(options);
const stream: Maker = (options, pending) => new StreamCommands(options, pending);

/** By the first word of a type's name. */
const MAKERS: ReadonlyMap<string, Maker> = new Map([
  ["string", string],
  ["list", list],
  ["set", set],
  ["zset", zset],
  ["hash", hash],
  ["stream", stream],
]);

/**
 * The commands that build a raw value of any type, as its bytes come in pieces; memory as in `ElementReader`, and one command more.
 *
 * They are to be applied once and in order, to a key that does not exist; none of them if the value has no elements, or the
 * destination can't hold it at all, or only a module can read it. They do not set the key's own expiry. A field whose expiry is past is
 * deleted by them, the last one with its hash.
 */
export class ElementCommands {
  readonly #reader: ElementReader | undefined;
  readonly #maker: CommandMaker;

  /** `type` as in `RdbEntry.type`. */
  constructor(type: number, options: ElementCommandOptions) {
    const { key, destination, maxBytes = DEFAULT_MAX_BYTES, maxElements = DEFAULT_MAX_ELEMENTS, lacks } = options;
    const limits = new DestinationLimits(destination);
    const lack = lackOf(type, limits);
    this.#reader = lack === undefined ? new ElementReader(type, options) : undefined;
    if (lack !== undefined) lacks(lack);
    const shift = options.shift ?? ((expireAtMs) => expireAtMs);
    const maker = MAKERS.get(familyOf(type)) ?? string;
    this.#maker = maker({ key, limits, maxBytes, maxElements, lacks, shift }, options.pending ?? new PendingIds());
  }

  /** The commands that this piece completes, made as they are taken; all of them must be. @throws RdbError: see `ElementReader.next`. */
  *push(piece: Buffer): Iterable<ElementCommand> {
    this.#reader?.push(piece);
    yield* this.#made();
  }

  /** The rest: the value has no more bytes. @throws RdbError: as `push`, or it is cut off. */
  *finish(): Iterable<ElementCommand> {
    if (this.#reader === undefined) return;
    this.#reader.finish();
    yield* this.#made();
    yield* this.#maker.end();
  }

  *#made(): Iterable<ElementCommand> {
    const reader = this.#reader;
    if (reader === undefined) return;
    for (let element = reader.next(); element !== undefined; element = reader.next()) yield* this.#maker.add(element);
  }
}

/** `ElementCommands` for a value that is there: its bytes in order, which for a stream are read twice. */
export function* elementCommands(
  type: number,
  pieces: readonly Buffer[],
  options: Omit<ElementCommandOptions, "pending">,
): Iterable<ElementCommand> {
  const needsIds = isStream(type) && lackOf(type, new DestinationLimits(options.destination)) === undefined;
  const commands = new ElementCommands(type, needsIds ? { ...options, pending: pendingIds(type, pieces, options) } : options);
  for (const piece of pieces) yield* commands.push(piece);
  yield* commands.finish();
}

/** Every id that is pending in a group of a stream, in ascending order. @throws RdbError: see `ElementReader.next`. */
export function pendingIds(type: number, pieces: Iterable<Buffer>, options: ElementReaderOptions = {}): PendingIds {
  const reader = new PendingIdReader(type, options);
  for (const piece of pieces) reader.push(piece);
  return reader.finish();
}

/** `pendingIds` for a value whose bytes come in pieces. @throws RdbError: see `ElementReader.next`. */
export class PendingIdReader {
  readonly #reader: ElementReader;
  readonly #groups: PendingIds[] = [];

  constructor(type: number, options: ElementReaderOptions = {}) {
    this.#reader = new ElementReader(type, { ...options, withoutEntries: true });
  }

  push(piece: Buffer): void {
    this.#reader.push(piece);
    this.#read();
  }

  /** The value has no more bytes. */
  finish(): PendingIds {
    this.#reader.finish();
    this.#read();
    return mergedIds(this.#groups);
  }

  #read(): void {
    for (let element = this.#reader.next(); element !== undefined; element = this.#reader.next()) {
      if (element.kind === "group" && element.pending.ids.size > 0) this.#groups.push(element.pending.ids);
    }
  }
}

/** What stands against building a value of this type at the destination at all. */
function lackOf(type: number, limits: DestinationLimits): string | undefined {
  if (!hasElements(type)) return `values of ${rdbTypeName(type)}, which only RESTORE can carry`;
  return isStream(type) && !limits.hasStreams ? "streams" : undefined;
}

/** True for a stream: its commands need `pendingIds` before they can be made. */
export function isStream(type: number): boolean {
  return familyOf(type) === "stream";
}

function familyOf(type: number): string {
  return rdbTypeName(type).split(" ", 1)[0] as string;
}
