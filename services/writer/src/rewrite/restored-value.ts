import {
  Crc64,
  dumpFooter,
  type DumpPayload,
  elementCommands,
  hasElements,
  neededText,
  RDB_FUNCTION,
  RdbError,
  rdbTypeName,
  rdbVersionReadBy,
  readDumpPayload,
  restorePayload,
  restoresType,
  since,
} from "@sluice/redis";
import { Halt } from "@sluice/runtime";
import type { Abilities } from "./abilities.ts";
import { exact, NATIVE, textAt, unheld, wordAt, type Arguments, type Outcome } from "./outcome.ts";

const ABSTTL = since("5.0");
const OPTIONS = since("5.0");
const REPLACE = since("3.0");
const FOOTER_BYTES = 10;

interface Restore {
  readonly key: Buffer;
  /** Absolute, as the source meant it; "0" for none. */
  readonly expireAtMs: string;
  readonly payload: Buffer;
  readonly isReplacing: boolean;
  /** IDLETIME and FREQ with their operands. */
  readonly access: readonly Buffer[];
}

/**
 * RESTORE key expiry payload [REPLACE] [ABSTTL] [IDLETIME n] [FREQ n]. The payload is stamped with the version of the source's RDB, which an older
 * server refuses unseen: it gets the lowest stamp that its type has; a type that it does not know is put together of its elements.
 */
export function restored(args: readonly Buffer[], abilities: Abilities): Outcome {
  const { server } = abilities;
  const command = read(args);
  if (command === null) return NATIVE;
  const hasRestore = abilities.hasCommand("RESTORE");
  const { payload } = command;
  const isReadable = hasRestore && stampOf(payload) <= rdbVersionReadBy(server);
  const hasOptions = abilities.hasSince(ABSTTL);
  if (isReadable && hasOptions) return NATIVE;
  if (isReadable) {
    const [only, ...more] = restore(command, payload, abilities);
    return more.length === 0 && only?.length === args.length ? NATIVE : exact(...(only === undefined ? [] : [only, ...more]));
  }
  const value = valueOf(payload);
  if (hasRestore && restoresType(value.type, server)) {
    return exact(...restore(command, Buffer.concat(restorePayload(value.type, value.value)), abilities));
  }
  return built(command, value, abilities);
}

/** The RDB version of the server that wrote the payload; 0 for what is none. */
function stampOf(payload: Buffer): number {
  return payload.length > FOOTER_BYTES ? payload.readUInt16LE(payload.length - FOOTER_BYTES) : 0;
}

/** FUNCTION RESTORE payload [policy]: stamped with the lowest version that has functions. */
export function restoredLibraries(args: readonly Buffer[], { server }: Abilities): Outcome {
  const [name = "", word = "", payload = Buffer.alloc(0), ...rest] = args;
  if (stampOf(payload) <= rdbVersionReadBy(server)) return NATIVE;
  const records = payload.subarray(0, -FOOTER_BYTES);
  const stamped = Buffer.concat([records, dumpFooter(RDB_FUNCTION, new Crc64().update(records))]);
  return exact([name, word, stamped, ...rest]);
}

function read(args: readonly Buffer[]): Restore | null {
  const [, key, , payload] = args;
  if (key === undefined || payload === undefined) return null;
  const access: Buffer[] = [];
  let isReplacing = false;
  let isAbsolute = false;
  for (let index = 4; index < args.length; index++) {
    const word = wordAt(args, index);
    if (word === "REPLACE") isReplacing = true;
    else if (word === "ABSTTL") isAbsolute = true;
    else access.push(args[index] as Buffer);
  }
  const expireAtMs = textAt(args, 2);
  // What is relative was made absolute at receipt.
  return expireAtMs !== "0" && !isAbsolute ? null : { key, expireAtMs, payload, isReplacing, access };
}

function valueOf(payload: Buffer): DumpPayload {
  try {
    return readDumpPayload(payload);
  } catch (cause) {
    if (!(cause instanceof RdbError)) throw cause;
    throw new Halt("SRC-004", "a RESTORE of the source holds a value that can't be taken apart", { cause });
  }
}

function restore(command: Restore, payload: Buffer, abilities: Abilities): Arguments[] {
  const { key, expireAtMs, isReplacing, access } = command;
  const hasOptions = abilities.hasSince(OPTIONS);
  const isReplace = isReplacing && abilities.hasSince(REPLACE);
  const options = [...(isReplace ? ["REPLACE"] : []), ...(hasOptions ? access : [])];
  const before: Arguments[] = isReplacing && !isReplace ? [["DEL", key]] : [];
  if (expireAtMs === "0" || hasOptions) {
    return [...before, ["RESTORE", key, expireAtMs, payload, ...options, ...(expireAtMs === "0" ? [] : ["ABSTTL"])]];
  }
  return [...before, ["RESTORE", key, 0, payload, ...options], ["PEXPIREAT", key, expireAtMs]];
}

/** The key stood in nobody's way at the source, or was replaced: what is there in the destination goes. */
function built({ key, expireAtMs }: Restore, { type, value }: DumpPayload, abilities: Abilities): Outcome {
  const lacking: string[] = [];
  const options = { key, destination: abilities.server, lacks: (what: string) => void lacking.push(what) };
  const commands: Arguments[] = [["DEL", key], ...elementCommands(type, [value], options)];
  if (expireAtMs !== "0" && commands.length > 1) commands.push(["PEXPIREAT", key, expireAtMs]);
  if (!hasElements(type)) return unheld(`RESTORE of a ${rdbTypeName(type)}`, ["DEL", key]);
  return lacking.length === 0 ? exact(...commands) : unheld(neededText(`RESTORE of ${lacking.join(", ")}`, null), ...commands);
}
