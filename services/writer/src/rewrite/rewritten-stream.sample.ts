import {
  absoluteExpiry,
  CommandFramer,
  CommandId,
  CommandKind,
  commandTable,
  encodeCommand,
  withoutTrimLimit,
} from "@sluice/redis";
import { ChangeFlag, ChangeRows } from "@sluice/wire";
import type { ChangeSlice } from "../apply/plan-changes.ts";
import type { Abilities } from "./abilities.ts";
import { Rewriting, type RewritingOptions } from "./rewriting.ts";
import { silentLog, type Logger } from "@sluice/runtime";

const MULTI = commandTable.idOf("MULTI");
const EXEC = commandTable.idOf("EXEC");
/** Where samples come from. */
export const ORIGIN = { label: "main.s0.0", batch: { previous: 0, last: 0, part: null } };

/** The commands of a replication stream as a slice: what ingest makes of them. Every command is a unit, but for those of a transaction. */
export function sliceOfStream(stream: Buffer, nowMs: number): ChangeSlice {
  const framer = new CommandFramer();
  framer.push(stream);
  const rows = new ChangeRows(64);
  const pieces: Buffer[] = [];
  let [db, first, isOpen] = [0, 0, false];
  const close = (): void => {
    if (rows.count === first) return;
    rows.flags[first] = (rows.flags[first] as number) | ChangeFlag.first;
    rows.flags[rows.count - 1] = (rows.flags[rows.count - 1] as number) | ChangeFlag.last;
    first = rows.count;
  };
  while (framer.next()) {
    const id = commandTable.idOfCommand(framer);
    const kind = commandTable.kind[id];
    if (id === CommandId.SELECT) db = Number(framer.buffer.toString("latin1", framer.argStart(1), framer.argEnd(1)));
    if (id === MULTI || id === EXEC) {
      close();
      isOpen = id === MULTI;
    }
    if (kind !== CommandKind.write && kind !== CommandKind.barrier && kind !== CommandKind.script) continue;
    const raw = Buffer.from(framer.buffer.subarray(framer.start, framer.end));
    const taken = withoutTrimLimit(id, framer) ?? absoluteExpiry(framer, nowMs) ?? raw;
    const again = new CommandFramer();
    again.push(taken);
    again.next();
    const barrier = kind === CommandKind.barrier ? ChangeFlag.barrier : 0;
    rows.add(taken.length, again.argc, rows.count + 1, 0, db, barrier, again.headerLength);
    pieces.push(taken);
    if (!isOpen) close();
  }
  close();
  return { rows, body: Buffer.concat(pieces), from: 0 };
}

/** What is left out, and every line of the log. */
export interface Told {
  count: number;
  readonly lines: string[];
}

export function rewritingFor(abilities: Abilities, told: Told, options: Partial<RewritingOptions> = {}): Rewriting {
  const warn = (...args: readonly unknown[]): void => void told.lines.push(String(args.at(-1)));
  const log = Object.assign(Object.create(silentLog), { warn }) as Logger;
  const count = (commands: number): void => void (told.count += commands);
  return new Rewriting(abilities, { group: "main", unsupported: "skip", divergence: "halt", log, count, ...options });
}

/** The slice as it is sent, with a SELECT wherever the database changes; behind each command's bytes its text for messages. */
function requestsOf({ rows, body }: ChangeSlice): Buffer[] {
  const requests: Buffer[] = [encodeCommand(["SELECT", 0])];
  let [db, at] = [0, 0];
  for (let row = 0; row < rows.count; row++) {
    const length = rows.lengths[row] as number;
    if (rows.dbs[row] !== db) requests.push(encodeCommand(["SELECT", (db = rows.dbs[row] as number)]));
    requests.push(body.subarray(at, (at += length)));
  }
  return requests;
}

export function rewrittenStream(stream: Buffer, nowMs: number, rewriting: Rewriting): Buffer[] {
  return requestsOf(rewriting.rewrite(sliceOfStream(stream, nowMs), ORIGIN));
}
