import { CommandFramer, CommandId, commandTable, RespError } from "@sluice/redis";

/** Places that are tried as the begin of a command. */
const MAX_STARTS = 1_000;
/** Bytes that are framed at a time: a start that is none shows soon. */
const STEP_BYTES = 64 * 1024;
const STAR = 42;
const HEADER = /^\*[1-9]\d{0,9}\r\n\$\d/;
const HEADER_BYTES = 20;

/**
 * The database that a replication stream has selected at the end of `window`, its last bytes up to a unit's end: what the last SELECT in it
 * says. "none" where the window holds commands and none of them is one, "unframed" where no commands lead up to its end.
 *
 * The window begins anywhere, in the middle of a value, too. The first place counts from which everything up to the end is commands, with
 * nothing left over. What looks like commands inside of a value that the window cuts off is taken for some, but behind the value's end come
 * the true ones, and the last SELECT counts.
 */
export function selectedDatabase(window: Buffer): number | "none" | "unframed" {
  if (window.length === 0) return "none";
  let starts = 0;
  for (let at = window.indexOf(STAR); at >= 0 && starts < MAX_STARTS; at = window.indexOf(STAR, at + 1)) {
    if (!HEADER.test(window.toString("latin1", at, at + HEADER_BYTES))) continue;
    starts++;
    const found = readFrom(window.subarray(at));
    if (found !== "no commands") return found ?? "none";
  }
  return "unframed";
}

function readFrom(bytes: Buffer): number | null | "no commands" {
  const framer = new CommandFramer();
  let selected: number | null = null;
  try {
    for (let at = 0; at < bytes.length; at += STEP_BYTES) {
      framer.push(bytes.subarray(at, at + STEP_BYTES));
      while (framer.next()) {
        const id = commandTable.find(framer.buffer, framer.argStart(0), framer.argEnd(0));
        if (id === CommandId.SELECT && framer.argc === 2)
          selected = Number(framer.buffer.toString("latin1", framer.argStart(1), framer.argEnd(1)));
      }
    }
  } catch (cause) {
    if (cause instanceof RespError) return "no commands";
    throw cause;
  }
  return framer.pendingBytes === 0 && Number.isInteger(selected ?? 0) ? selected : "no commands";
}
