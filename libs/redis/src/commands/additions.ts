import type { CommandDefinition } from "./command-definition.ts";
import { CommandKind } from "./command-kind.ts";

type Keys = readonly [firstKey: number, lastKey: number, keyStep: number];
const ONE_KEY: Keys = [1, 1, 1];

function write(name: string, [firstKey, lastKey, keyStep]: Keys = ONE_KEY, movableKeys = false): CommandDefinition {
  return { name, write: true, noScript: false, firstKey, lastKey, keyStep, movableKeys, subcommands: [] };
}

function keyless(name: string): CommandDefinition {
  return { name, write: false, noScript: false, firstKey: 0, lastKey: 0, keyStep: 0, movableKeys: false, subcommands: [] };
}

/** Commands younger than the server that the generated table was made with, or of another server. Each appears in replication streams. */
export const addedCommands: readonly CommandDefinition[] = [
  // Redis 7.4, Valkey 9: expiry of hash fields.
  ...["HEXPIRE", "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT", "HPERSIST"].map((name) => write(name)),
  // Redis 8.0, Valkey 9.
  ...["HSETEX", "HGETEX", "HGETDEL"].map((name) => write(name)),
  // Redis 8.0: vector sets.
  ...["VADD", "VREM", "VSETATTR"].map((name) => write(name)),
  // Redis 8.2: streams that keep or drop references of consumer groups.
  ...["XDELEX", "XACKDEL"].map((name) => write(name)),
  // Redis 8.4; Valkey 9 has DELIFEQ and MSETEX.
  write("DELEX"),
  write("DELIFEQ"),
  write("MSETEX", [0, 0, 0], true),
  // Redis 8.8, Valkey 9.2.
  write("INCREX"),
  // Redis 8.4 and Valkey: flushing and trimming of slots.
  keyless("SFLUSH"),
  keyless("TRIMSLOTS"),
  // Tair: operation marks inside the stream.
  keyless("OPINFO"),
];

/**
 * Commands that are not what their flags say. Of the others, those with the write flag are `write` and all the rest are `forbidden`.
 * PFCOUNT is a read that is replicated when it renews the cached count. MIGRATE is replicated as DEL; run at a destination it would move keys away.
 */
export const kindByName: Readonly<Record<string, CommandKind>> = {
  PING: CommandKind.control,
  REPLCONF: CommandKind.control,
  SELECT: CommandKind.control,
  MULTI: CommandKind.control,
  EXEC: CommandKind.control,
  FLUSHALL: CommandKind.barrier,
  FLUSHDB: CommandKind.barrier,
  SWAPDB: CommandKind.barrier,
  FUNCTION: CommandKind.barrier,
  PUBLISH: CommandKind.publish,
  SPUBLISH: CommandKind.publish,
  CLUSTER: CommandKind.dropped,
  TRIMSLOTS: CommandKind.dropped,
  SFLUSH: CommandKind.dropped,
  OPINFO: CommandKind.dropped,
  EVAL: CommandKind.script,
  EVALSHA: CommandKind.script,
  FCALL: CommandKind.script,
  SCRIPT: CommandKind.script,
  PFCOUNT: CommandKind.write,
  MIGRATE: CommandKind.forbidden,
};

/** Containers, all of whose subcommands with keys have one at argument 2 (COMMAND tells keys of subcommands, not of the container). */
export const keyBehindSubcommand: readonly string[] = ["XGROUP", "XINFO", "OBJECT", "MEMORY"];
