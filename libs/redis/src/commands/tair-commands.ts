import type { CommandDefinition } from "./command-definition.ts";
import { writesOf } from "./listed-commands.ts";

/** TairString (src/tairstring.c). They are replicated as EXSET, SET, DEL and PEXPIREAT with absolute times, or as they were sent. */
const strings = "EXSET EXSETVER EXINCRBY EXINCRBYFLOAT EXCAS EXCAD EXAPPEND EXPREPEND EXGAE CAS CAD";
/** TairHash (src/tairhash.c). A field that expires comes as EXHDELREPL or EXHDEL. */
const hashes =
  "EXHSET EXHSETNX EXHMSET EXHMSETWITHOPTS EXHSETVER EXHINCRBY EXHINCRBYFLOAT EXHDEL EXHDELWITHVER EXHDELREPL " +
  "EXHEXPIRE EXHPEXPIRE EXHEXPIREAT EXHPEXPIREAT EXHPERSIST";
/** TairZset (src/tairzset.c). EXBZPOPMIN and EXBZPOPMAX are replicated with their one key and no time to wait. */
const sortedSets =
  "EXZADD EXZINCRBY EXZREM EXZREMRANGEBYSCORE EXZREMRANGEBYRANK EXZREMRANGEBYLEX EXZPOPMIN EXZPOPMAX EXBZPOPMIN EXBZPOPMAX";
/** <destination> <count> <source>…; COMMAND tells the destination alone (all of TairZset is registered with one key at argument 1). */
const sortedSetStores = "EXZUNIONSTORE EXZINTERSTORE EXZDIFFSTORE";
/** TairGis, TairTs (the series of a key are inside it), TairCpc, TairRoaring, TairSearch and TairVector (an index is a key). */
const others = [
  "GIS.ADD GIS.DEL",
  "EXTS.P.CREATE EXTS.S.CREATE EXTS.S.ALTER EXTS.S.ADD EXTS.S.MADD EXTS.S.INCRBY EXTS.S.MINCRBY EXTS.S.DEL",
  "EXTS.S.RAW_MODIFY EXTS.S.RAW_MMODIFY EXTS.S.RAW_INCRBY EXTS.S.RAW_MINCRBY",
  "TSSTRING.P.CREATE TSSTRING.S.CREATE TSSTRING.S.ALTER TSSTRING.S.ADD TSSTRING.S.MADD TSSTRING.S.DEL",
  "CPC.UPDATE CPC.UPDATE2EST CPC.UPDATE2JUD CPC.ARRAY.UPDATE CPC.ARRAY.UPDATE2EST CPC.ARRAY.UPDATE2JUD",
  "TR.SETBIT TR.SETBITS TR.CLEARBITS TR.SETRANGE TR.FLIPRANGE TR.APPENDBITARRAY TR.APPENDINTARRAY TR.SETINTARRAY TR.SETBITARRAY",
  "TR.OPTIMIZE",
  "TFT.CREATEINDEX TFT.UPDATEINDEX TFT.ADDDOC TFT.MADDDOC TFT.UPDATEDOC TFT.UPDATEDOCFIELD TFT.INCRLONGDOCFIELD TFT.INCRFLOATDOCFIELD",
  "TFT.DELDOCFIELD TFT.DELDOC TFT.DELALL TFT.ADDSUG TFT.DELSUG",
  "TVS.CREATEINDEX TVS.DELINDEX TVS.HSET TVS.DEL TVS.HDEL TVS.HINCRBY TVS.HINCRBYFLOAT",
  "TVS.HEXPIRE TVS.HPEXPIRE TVS.HEXPIREAT TVS.HPEXPIREAT",
].join(" ");

/**
 * Write commands of Tair's own types, as its modules of public source register them and as the clients that Alibaba Cloud publishes (tair-py,
 * alibabacloud-tairjedis-sdk) send them. TairDoc and TairBloom have the names of RedisJSON and RedisBloom.
 */
export const tairCommands: readonly CommandDefinition[] = [
  ...writesOf([strings, hashes, sortedSets, others].join(" ")),
  ...writesOf(sortedSetStores, { movableKeys: true }),
  // <destination> <operation> <key>…
  ...writesOf("TR.BITOP", { movableKeys: true }),
];
