import { CommandFramer, commandTable, encodeCommand, keySlot, ReplyFramer } from "@sluice/redis";

/** Figures for framing: commands out of 64 KiB chunks, the same with lookup and slot of each, and runs of replies. The best of some rounds. */
const CHUNK_BYTES = 64 * 1024;
const COMMANDS = 1_000_000;
const ROUNDS = 5;
const QUEUED = Buffer.from("+QUEUED\r\n");

/** `SET key:000000 x…` with values of 0 to 15 bytes. */
function stream(): Buffer {
  const commands: Buffer[] = [];
  for (let index = 0; index < COMMANDS; index++) {
    commands.push(encodeCommand(["SET", `key:${String(index).padStart(6, "0")}`, "x".repeat(index % 16)]));
  }
  return Buffer.concat(commands);
}

function frameAll(bytes: Buffer): number {
  const framer = new CommandFramer();
  let count = 0;
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    framer.push(bytes.subarray(at, at + CHUNK_BYTES));
    while (framer.next()) count++;
  }
  return count;
}

function routeAll(bytes: Buffer): number {
  const framer = new CommandFramer();
  let count = 0;
  let slots = 0;
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    framer.push(bytes.subarray(at, at + CHUNK_BYTES));
    while (framer.next()) {
      const id = commandTable.idOfCommand(framer);
      const key = commandTable.firstKeyArg(id, framer);
      slots += keySlot(framer.buffer, framer.argStart(key), framer.argEnd(key));
      count++;
    }
  }
  return slots > 0 ? count : 0;
}

function takeAll(bytes: Buffer): number {
  const framer = new ReplyFramer();
  let count = 0;
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    framer.push(bytes.subarray(at, at + CHUNK_BYTES));
    count += framer.takeRun(QUEUED, COMMANDS);
  }
  return count;
}

function report(what: string, bytes: Buffer, run: (bytes: Buffer) => number): void {
  let bestMs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const startedMs = performance.now();
    const count = run(bytes);
    bestMs = Math.min(bestMs, performance.now() - startedMs);
    if (count !== COMMANDS) throw new Error(`${what}: counted ${count} of ${COMMANDS}`);
  }
  console.log(`${what}: ${(COMMANDS / bestMs / 1000).toFixed(1)} M/s, ${(bytes.length / bestMs / 1000).toFixed(0)} MB/s`);
}

const commands = stream();
report(`framed commands of ${(commands.length / COMMANDS).toFixed(0)} bytes`, commands, frameAll);
report("framed, looked up and hashed", commands, routeAll);
report("replies taken in runs", Buffer.alloc(QUEUED.length * COMMANDS, QUEUED), takeAll);
