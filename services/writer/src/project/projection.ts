import { CommandFramer, type FramedCommand } from "@sluice/redis";
import { Halt, printable } from "@sluice/runtime";
import { ChangeFlag, DatabaseMap, NOWHERE, type Batch, type DestinationSpec, type Pipeline } from "@sluice/wire";
import type { ChangeSlice } from "../apply/plan-changes.ts";
import { CommandFilter, nameAt } from "./command-filter.ts";
import { CommandScope, type Scoped } from "./command-scope.ts";
import type { KeptKeys } from "../keep/kept-keys.ts";
import { KeyScope } from "./key-scope.ts";
import { ProjectedSlice } from "./projected-slice.ts";

const LONGEST_NAME = 40;

/** Where a slice comes from, for people. */
export interface SliceOrigin {
  /** The lane with its group. */
  readonly label: string;
  readonly batch: Pick<Batch, "previous" | "last" | "part">;
}

/**
 * What a writer group gets of its source: some databases, maybe under other numbers, some keys, and not every command; no key that its destination keeps. It stands where a lane reads
 * its batches, before anything is planned, judged or repaired, so that all behind it know only what the destination shall hold:
 *
 *     batch    [SET a:1][DEL a:1 b:1][SET b:2 in db 3][SET a:2]     previous 0, last 90
 *     a:*      [SET a:1][DEL a:1]                     [SET a:2]     the same, and the same end of each unit that is left
 *
 * Offsets are the source's still. A batch of which nothing is left moves the mark like one that brings nothing. What a command
 * means for the keys in scope is `CommandScope`'s to say; a unit stays one unit, and where one of its commands can't be projected
 * exactly, the lane halts: a destination that is wrong without anybody's knowing is worth less than none.
 */
export class Projection {
  readonly #databases: DatabaseMap;
  readonly #patterns: DestinationSpec["keys"];
  readonly #keys: KeyScope;
  readonly #scope: CommandScope;
  readonly #commands: CommandFilter;
  #keptCommands = 0;
  #filteredCommands = 0;

  constructor(
    databases: DatabaseMap,
    patterns: DestinationSpec["keys"],
    commands: CommandFilter,
    kept: KeptKeys | null = null,
  ) {
    this.#databases = databases;
    this.#patterns = patterns;
    this.#commands = commands;
    this.#keys = new KeyScope(patterns, kept);
    this.#scope = new CommandScope(databases, this.#keys);
  }

  /** That of a group; null where it gets everything as it is. */
  static of(
    source: Pick<Pipeline["source"], "databases">,
    destination: Pick<DestinationSpec, "databases" | "keys"> & Partial<Pick<DestinationSpec, "commands">>,
  ): Projection | null {
    const databases = new DatabaseMap(source.databases ?? null, destination.databases ?? {});
    const { include, exclude } = destination.keys;
    const hasPatterns = include.length + exclude.length > 0;
    const commands = new CommandFilter(destination.commands?.exclude ?? []);
    if (databases.isIdentity && !hasPatterns && commands.isEmpty) return null;
    return new Projection(databases, destination.keys, commands);
  }

  /** As `base` (null: everything), without the keys that are kept. */
  static keeping(base: Projection | null, kept: KeptKeys): Projection {
    if (base === null)
      return new Projection(new DatabaseMap(null, {}), { include: [], exclude: [] }, new CommandFilter([]), kept);
    return new Projection(base.#databases, base.#patterns, base.#commands, kept);
  }

  /** Commands so far that were left out by their names. */
  get filteredCommands(): number {
    return this.#filteredCommands;
  }

  /** Commands so far that were left out or changed because of a key that is kept. */
  get keptCommands(): number {
    return this.#keptCommands;
  }

  /**
   * What the group gets of the rows from `slice.from` on. Throws `Halt` PIP-015 at a command of which that can't be told.
   * The result is the slice itself where nothing is left out or changed.
   */
  project(slice: ChangeSlice, origin: SliceOrigin): ChangeSlice {
    if (this.#keys.isWhole && this.#databases.isIdentity && this.#commands.isEmpty) return slice;
    const { rows, body, from } = slice;
    let at = 0;
    for (let row = 0; row < from; row++) at += rows.lengths[row] as number;
    const framer = new CommandFramer();
    framer.push(at === 0 ? body : body.subarray(at));
    const projected = new ProjectedSlice(rows, body);
    let isSame = true;
    for (let row = from; row < rows.count; row++) {
      if (!framer.next()) throw new Error(`row ${row} of a slice of lane ${origin.label} is not in its body`);
      const db = rows.dbs[row] as number;
      const asked = this.#keys.keptAsked;
      const scoped = this.#scopeOf(framer, db);
      if (this.#keys.keptAsked !== asked) this.#keptCommands++;
      if (scoped.kind === "unclear") throw unclear(scoped.why, framer, row, slice, origin);
      if (scoped.kind === "whole") {
        // What belongs to no database may come while one is selected that is not copied.
        const target = Math.max(0, this.#databases.targetOf(db));
        projected.keep(row, at, target);
        isSame &&= target === db;
      } else isSame = false;
      if (scoped.kind === "other") for (const command of scoped.commands) projected.replace(row, command);
      if (((rows.flags[row] as number) & ChangeFlag.last) !== 0) projected.endUnit();
      at += rows.lengths[row] as number;
    }
    projected.endUnit();
    return isSame ? slice : { rows: projected.rows, body: projected.body(), from: 0 };
  }

  /** By its name first: what is left out so needs no keys, and halts nothing. */
  #scopeOf(command: FramedCommand, db: number): Scoped {
    if (!this.#commands.excludes(command)) return this.#scope.of(command, db);
    this.#filteredCommands++;
    return { kind: "nothing" };
  }

  /** The database that an entry of a full copy has in the destination; null where the group does not get it. */
  databaseOf(db: number, key: Buffer): number | null {
    const target = this.#databases.targetOf(db);
    return target === NOWHERE || !this.#keys.has(target, key) ? null : target;
  }

  /** Grows by one with every entry of a copy, and key of a command, that is not the group's because it is kept. */
  get keptAsked(): number {
    return this.#keys.keptAsked;
  }

  /** Where the keys of the destination's database `db` stand at the source; null where several databases are that one, or none. */
  sourceOf(db: number): number | null {
    return this.#databases.sourceOf(db);
  }
}

function unclear(why: string, framer: CommandFramer, row: number, { rows }: ChangeSlice, { label, batch }: SliceOrigin): Halt {
  const at = nameAt(framer);
  const start = framer.argStart(at);
  const name = printable(framer.buffer.toString("latin1", start, Math.min(framer.argEnd(at), start + LONGEST_NAME)));
  const end = batch.part === null ? batch.previous + (rows.ends[row] as number) : batch.last;
  return new Halt(
    "PIP-015",
    `lane ${label} can't give its group a part of ${name}, in the unit that ends at offset ${end}: ${why}`,
  );
}
