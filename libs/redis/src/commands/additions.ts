import type { CommandDefinition } from "./command-definition.ts";
import { CommandKind } from "./command-kind.ts";
import { keyedNames } from "./keyed-command.ts";
import { keylessWrite, writesOf } from "./listed-commands.ts";

/**
 * Commands younger than the server that the generated table was made with, or of another server. Each appears in replication streams.
 * Sources: src/commands/*.json of Redis 7.4 to 8.10 and of Valkey 8 and 9.
 */
export const addedCommands: readonly CommandDefinition[] = [
  // Redis 7.4, Valkey 9: expiry of hash fields. Redis 8.0, Valkey 9: HSETEX, HGETEX, HGETDEL.
  ...writesOf("HEXPIRE HPEXPIRE HEXPIREAT HPEXPIREAT HPERSIST HSETEX HGETEX HGETDEL"),
  // Redis 8.0: vector sets (modules/vector-sets/vset.c).
  ...writesOf("VADD VREM VSETATTR"),
  // Redis 8.2 to 8.8: streams that drop references of consumer groups, remember what producers sent, and hand entries back.
  ...writesOf("XDELEX XACKDEL XCFGSET XIDMPRECORD XNACK"),
  // Redis 8.4; Valkey 9 has DELIFEQ and MSETEX. Redis 8.8, Valkey 9.2: INCREX.
  ...writesOf("DELEX DELIFEQ INCREX"),
  ...writesOf("MSETEX", { keys: [0, 0, 0], movableKeys: true }),
  // Redis 8.8: arrays.
  ...writesOf("ARDEL ARDELRANGE ARINSERT ARMSET ARRING ARSEEK ARSET"),
  // Redis 8.10: moves of several elements; hashes by a prepared list of fields (a container: PREPARE, SET, DISCARD, DISCARDALL).
  ...writesOf("LMOVEM", { keys: [1, 2, 1] }),
  ...writesOf("BLMOVEM", { keys: [1, 2, 1], noScript: true }),
  ...writesOf("HIMPORT", { keys: [0, 0, 0], subcommands: ["PREPARE", "SET", "DISCARD", "DISCARDALL"] }),
  // Redis 8.0: empties the shard. Redis 8.4: what is left of slots that have moved to another shard is deleted.
  keylessWrite("SFLUSH"),
  keylessWrite("TRIMSLOTS"),
  // Tair: operation marks inside the stream.
  keylessWrite("OPINFO"),
];

/**
 * Commands that are not what their flags say. Of the others, those with the write flag are `write` and all the rest are `forbidden`.
 * PFCOUNT is a read that is replicated when it renews the cached count. MIGRATE is replicated as DEL; run at a destination it would move keys away.
 * SFLUSH deletes what the source's slots hold (Redis db.c, sflushCommand, which forces its propagation); TRIMSLOTS only what is another shard's already.
 */
export const kindByName: Readonly<Record<string, CommandKind>> = {
  PING: CommandKind.control,
  REPLCONF: CommandKind.control,
  SELECT: CommandKind.control,
  MULTI: CommandKind.control,
  EXEC: CommandKind.control,
  FLUSHALL: CommandKind.barrier,
  FLUSHDB: CommandKind.barrier,
  SFLUSH: CommandKind.barrier,
  SWAPDB: CommandKind.barrier,
  FUNCTION: CommandKind.barrier,
  PUBLISH: CommandKind.publish,
  SPUBLISH: CommandKind.publish,
  CLUSTER: CommandKind.dropped,
  TRIMSLOTS: CommandKind.dropped,
  OPINFO: CommandKind.dropped,
  EVAL: CommandKind.script,
  EVALSHA: CommandKind.script,
  FCALL: CommandKind.script,
  SCRIPT: CommandKind.script,
  PFCOUNT: CommandKind.write,
  MIGRATE: CommandKind.forbidden,
  // Carriers are ours; no source sends them.
  ...Object.fromEntries(keyedNames.map((name) => [name, CommandKind.forbidden])),
};

/** Containers, all of whose subcommands with keys have one at argument 2 (COMMAND tells keys of subcommands, not of the container). */
export const keyBehindSubcommand: readonly string[] = ["XGROUP", "XINFO", "OBJECT", "MEMORY", "HIMPORT"];
