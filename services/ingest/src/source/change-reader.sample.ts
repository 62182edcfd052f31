import { CommandFramer, encodeCommand, type NamedKeys } from "@sluice/redis";
import { ChangeFlag, ChangeRows, decodeBatch, SlotSet } from "@sluice/wire";
import { expect } from "vitest";
import { BacklogBound } from "../lanes/backlog-bound.ts";
import { ChangeBatcher } from "../lanes/change-batcher.ts";
import { ChangeReader } from "./change-reader.ts";
import { ScriptBodies } from "./script-bodies.ts";
import type { UnplacedCommand } from "./unknown-writes.ts";

export const NOW_MS = 1_700_000_000_000;
const HEAD = { shard: "s0", epoch: 1, term: 1, replid: "a".repeat(40) };

/** A unit in a lane; `flags`: those of its rows beside first and last. */
export interface Unit {
  readonly lane: number;
  readonly end: number;
  readonly db: number;
  readonly flags: number;
  readonly commands: string[];
}

export interface Setup {
  readonly lanes?: number;
  readonly offset?: number;
  readonly version?: number;
  readonly db?: number;
  /** Where the lanes' tails stand. */
  readonly tails?: readonly number[];
  readonly slots?: SlotSet;
  /** Default: no unknown command's keys are known. */
  readonly keysOf?: (unplaced: UnplacedCommand) => NamedKeys | null;
  readonly scripts?: ScriptBodies;
  readonly publishes?: boolean;
}

export function setUp({
  lanes = 1,
  offset = 0,
  version = 70_015,
  db = 0,
  tails = [],
  slots = SlotSet.all(),
  keysOf = () => null,
  scripts = new ScriptBodies(),
  publishes = false,
}: Setup = {}): {
  reader: ChangeReader;
  batchers: ChangeBatcher[];
} {
  const batchers = Array.from(
    { length: lanes },
    (_, lane) => new ChangeBatcher(HEAD, tails[lane] ?? offset, db, 64 * 1024, new BacklogBound()),
  );
  return {
    reader: new ChangeReader({
      shard: "s0",
      lanes: batchers,
      slots,
      offset,
      db,
      version,
      nowMs: () => NOW_MS,
      unknown: { keysOf },
      scripts,
      publishes,
    }),
    batchers,
  };
}

export function stream(...commands: readonly string[]): Buffer {
  return Buffer.concat(commands.map((line) => encodeCommand(line.split(" "))));
}

export function pushInPieces(reader: ChangeReader, bytes: Buffer, sizes: readonly number[]): void {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] as number;
    reader.push(bytes.subarray(at, at + size));
    at += size;
  }
}

/** What stands in the batchers, unit by unit. */
export function unitsOf(batchers: readonly ChangeBatcher[]): Unit[] {
  return batchers.flatMap((batcher, lane) => {
    const units: Unit[] = [];
    for (let closed = batcher.take(); closed !== null; closed = batcher.take()) {
      batcher.stored();
      const { rows, body, previous } = decodeBatch(closed.message);
      if (!(rows instanceof ChangeRows)) continue;
      const framer = new CommandFramer();
      framer.push(body);
      for (let row = 0; row < rows.count; row++) {
        framer.next();
        const args = Array.from({ length: framer.argc }, (_, at) =>
          framer.buffer.toString("latin1", framer.argStart(at), framer.argEnd(at)),
        );
        expect([rows.lengths[row], rows.argcs[row], rows.headers[row]]).toEqual([
          framer.end - framer.start,
          framer.argc,
          framer.headerLength,
        ]);
        const flags = rows.flags[row] as number;
        const isFirst = (flags & ChangeFlag.first) !== 0;
        if (isFirst)
          units.push({ lane, end: previous + (rows.ends[row] as number), db: rows.dbs[row] as number, flags: 0, commands: [] });
        const unit = units.at(-1) as Unit;
        unit.commands.push(args.join(" "));
        Object.assign(unit, { flags: unit.flags | (flags & ~(ChangeFlag.first | ChangeFlag.last)) });
      }
    }
    return units;
  });
}

export function carried(bytes: Buffer, setup: Setup = {}): Unit[] {
  const { reader, batchers } = setUp(setup);
  reader.push(bytes);
  return unitsOf(batchers);
}
