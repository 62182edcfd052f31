import { CommandFramer, encodeCommand, keySlot } from "@sluice/redis";
import { ChangeFlag, ChangeRows } from "@sluice/wire";
import type { ChangeSlice } from "../apply/plan-changes.ts";

/** A command of a unit, its arguments apart by blanks. */
export interface SampleCommand {
  readonly db: number;
  readonly line: string;
}

const isBarrier = (line: string): boolean => /^(flush|swapdb|function)/i.test(line);

/** The units as a slice, each ending at an offset that is a multiple of 10. */
export function sliceOf(...units: readonly (readonly SampleCommand[])[]): ChangeSlice {
  const rows = new ChangeRows(1);
  const bodies: Buffer[] = [];
  for (const [number, commands] of units.entries()) {
    for (const [index, { db, line }] of commands.entries()) {
      const args = line.split(" ");
      const body = encodeCommand(args);
      const edges = (index === 0 ? ChangeFlag.first : 0) | (index === commands.length - 1 ? ChangeFlag.last : 0);
      const flags = edges | (isBarrier(line) ? ChangeFlag.barrier : 0);
      rows.add(
        body.length,
        args.length,
        10 * (number + 1),
        keySlot(Buffer.from(args[1] ?? "")),
        db,
        flags,
        body.indexOf("\n") + 1,
      );
      bodies.push(body);
    }
  }
  return { rows, body: Buffer.concat(bodies), from: 0 };
}

/** The slice as text, a list for each unit; throws where rows, flags and bytes do not belong together. */
export function unitsIn({ rows, body, from }: ChangeSlice): { end: number; commands: SampleCommand[] }[] {
  const framer = new CommandFramer();
  framer.push(body);
  const units: { end: number; commands: SampleCommand[] }[] = [];
  let isOpen = false;
  for (let row = 0; row < rows.count; row++) {
    if (!framer.next()) throw new Error(`row ${row} has no command`);
    const flags = rows.flags[row] as number;
    const found = [framer.end - framer.start, framer.argc, framer.headerLength].join();
    const told = [rows.lengths[row], rows.argcs[row], rows.headers[row]].join();
    if (found !== told) throw new Error(`row ${row} says ${told}, its command is ${found}`);
    const isFirst = (flags & ChangeFlag.first) !== 0;
    if (isFirst === isOpen) throw new Error(`row ${row}: a unit begins inside another, or none does`);
    const end = rows.ends[row] as number;
    if (isFirst) units.push({ end, commands: [] });
    const unit = units.at(-1);
    if (unit?.end !== end) throw new Error(`row ${row} ends at ${end} in a unit that ends elsewhere`);
    const args = Array.from({ length: framer.argc }, (_, index) =>
      framer.buffer.toString("latin1", framer.argStart(index), framer.argEnd(index)),
    );
    const line = args.join(" ");
    if (isBarrier(line) !== ((flags & ChangeFlag.barrier) !== 0)) throw new Error(`row ${row}: the flag of ${line} is wrong`);
    unit.commands.push({ db: rows.dbs[row] as number, line });
    isOpen = (flags & ChangeFlag.last) === 0;
  }
  if (isOpen || framer.next() || rows.bodyBytes !== body.length) throw new Error("the last unit, or the body, does not end");
  const first = rows.ends[from];
  return units.filter(({ end }) => first !== undefined && end >= first);
}
