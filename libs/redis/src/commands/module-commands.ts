import type { CommandDefinition } from "./command-definition.ts";
import { keylessWrite, writesOf } from "./listed-commands.ts";

const COUNTED = { keys: [1, 1, 1], movableKeys: true } as const;

/**
 * RedisJSON (redis_json/src/commands.rs; Valkey's module has the same names): every write is replicated as it was sent. JSON.MSET takes triples of
 * key, path and value.
 */
const json = [
  ...writesOf("JSON.SET JSON.DEL JSON.FORGET JSON.MERGE JSON.CLEAR JSON.TOGGLE JSON.NUMINCRBY JSON.NUMMULTBY JSON.NUMPOWBY"),
  ...writesOf("JSON.STRAPPEND JSON.ARRAPPEND JSON.ARRINSERT JSON.ARRPOP JSON.ARRTRIM"),
  ...writesOf("JSON.MSET", { keys: [1, -1, 3] }),
];

/** RedisBloom (src/rebloom.c, cms.c, rm_topk.c, rm_tdigest.c), and Valkey's Bloom module, which has BF.LOAD. Replicated as they were sent. */
const bloom = [
  ...writesOf("BF.ADD BF.MADD BF.INSERT BF.RESERVE BF.LOADCHUNK BF.LOAD"),
  ...writesOf("CF.ADD CF.ADDNX CF.INSERT CF.INSERTNX CF.DEL CF.RESERVE CF.LOADCHUNK CF.COMPACT"),
  ...writesOf("CMS.INITBYDIM CMS.INITBYPROB CMS.INCRBY TOPK.RESERVE TOPK.ADD TOPK.INCRBY"),
  ...writesOf("TDIGEST.CREATE TDIGEST.ADD TDIGEST.RESET"),
  // <destination> <count> <source>…; COMMAND tells the destination alone.
  ...writesOf("CMS.MERGE TDIGEST.MERGE", COUNTED),
];

/** RedisTimeSeries (src/module.c). Compactions run at a replica as they do at a primary, so rules travel and compacted samples do not. */
const timeSeries = [
  ...writesOf("TS.CREATE TS.ALTER TS.ADD TS.INCRBY TS.DECRBY TS.DEL"),
  ...writesOf("TS.CREATERULE TS.DELETERULE", { keys: [1, 2, 1] }),
  ...writesOf("TS.MADD", { keys: [1, -1, 3] }),
];

/**
 * RediSearch (src/module.c, commands.h, suggest.c, dictionary.c). What concerns an index names no key: FT.CREATE, ALTER, DROPINDEX, ALIASADD and ALIASDEL
 * reach a replica as FT._CREATEIFNX, _ALTERIFNX, _DROPINDEXIFX, _ALIASADDIFNX and _ALIASDELIFX (1.x sent them as they were; since 8.0 with one more
 * underscore in front), the others as they were. Documents reach it as HSET and DEL, those of 1.x as FT.SAFEADD and FT.DEL. FT.INTERNAL_UPDATE is
 * valkey-search's form of all changes to an index.
 */
const searchIndexes = (
  "FT.CREATE FT.ALTER FT.DROP FT.DROPINDEX FT.ALIASADD FT.ALIASDEL FT.ALIASUPDATE FT.SYNADD FT.SYNUPDATE FT.DICTADD FT.DICTDEL " +
  "FT._CREATEIFNX FT._ALTERIFNX FT._DROPIFX FT._DROPINDEXIFX FT._ALIASADDIFNX FT._ALIASDELIFX FT._RESTOREIFNX"
).split(" ");
const search = [
  ...writesOf("FT.SUGADD FT.SUGDEL"),
  ...writesOf("FT.ADD FT.SAFEADD FT.DEL FT.SETPAYLOAD _FT.SAFEADD _FT.DEL", { keys: [2, 2, 1] }),
  ...searchIndexes.flatMap((name) => [keylessWrite(name), keylessWrite(`_${name}`)]),
  keylessWrite("FT.INTERNAL_UPDATE"),
];

/** Write commands of the modules that come with Redis and Valkey. */
export const moduleCommands: readonly CommandDefinition[] = [...json, ...bloom, ...timeSeries, ...search];
