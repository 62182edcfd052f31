import type { CommandFramer } from "@sluice/redis";
import { Halt, printable } from "@sluice/runtime";

/** What a shard halts with at a command that Sluice knows and that no source sends. */
export function forbiddenFault(shard: string, framer: CommandFramer): Halt {
  return new Halt(
    "SRC-006",
    `source ${shard} sent ${shownName(framer)} at offset ${framer.offset}, which is not known as a write`,
  );
}

/** And at one that can't go into one lane. `what`: it, and what it is part of. */
export function severalLanesFault(shard: string, framer: CommandFramer, what: string): Halt {
  return new Halt(
    "PIP-004",
    `source ${shard} sent ${what} (${shownName(framer)}) that concerns several lanes, at offset ${framer.offset}`,
  );
}

function shownName(framer: CommandFramer): string {
  const end = Math.min(framer.argEnd(0), framer.argStart(0) + 40);
  return printable(framer.buffer.toString("latin1", framer.argStart(0), end));
}
