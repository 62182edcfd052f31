import { RDB_FUNCTION } from "./rdb-type.ts";

/*
 * The grammar of an RDB file ("n+": since RDB version n; Redis rdb.c, rdbLoadRio and rdbSaveRio). Numbers are little endian,
 * except the ones inside a length.
 *
 *   rdb        = ( "REDIS" digit digit digit digit | "VALKEY" digit digit digit ), { record }, end ;
 *   end        = 0xFF, [ crc64 ] ;                           (* crc64 of all bytes before it: 5+; zero: not computed *)
 *   record     = 0xFE, length                                (* SELECTDB *)
 *              | 0xFB, length, length                        (* RESIZEDB: keys, keys with expiry; 7+ *)
 *              | 0xFA, string, string                        (* AUX: name, value; 7+ *)
 *              | 0xF7, moduleid, modulefields                (* MODULE_AUX; 9+ *)
 *              | 0xF6                                        (* functions of 7.0 release candidates: refused *)
 *              | 0xF5, string                                (* FUNCTION2: a library; 10+ *)
 *              | 0xF4, length, length, length                (* SLOT_INFO: slot, keys, keys with expiry; 12+ *)
 *              | 0xF3, string, n × ( length, length )        (* Valkey, SLOT_IMPORT: its job, first and last slots; 80+ *)
 *              | { attribute }, type, string, value ;        (* the string is the key *)
 *   attribute  = 0xFD, int32                                 (* EXPIRETIME: seconds; servers write it before 3 only *)
 *              | 0xFC, int64                                 (* EXPIRETIME_MS; 3+ *)
 *              | 0xF8, length                                (* IDLE: seconds; 9+ *)
 *              | 0xF9, byte                                  (* FREQ; 9+ *)
 *              | 0xF3, n × ( 4 bytes, modulefields ) ;       (* Redis, KEY_META: class of a module, what it saved; 13+ *)
 *   type       = byte ;                                      (* below 0xF1; which, and since when: rdb-type.ts *)
 *   length     = 00nnnnnn | 01nnnnnn byte | 0x80 4 bytes | 0x81 8 bytes ;   (* big endian; the last: 8+ *)
 *   string     = length, bytes
 *              | 0xC0 int8 | 0xC1 int16 | 0xC2 int32         (* a decimal number *)
 *              | 0xC3, length, length, bytes ;               (* LZF: packed size, plain size *)
 *
 *   value      = string                                      (* 0, 9 to 13; 16, 17: 10+; 20: 11+; 23: 12+ *)
 *              | n × string                                  (* 1, 2; 14: 7+.  "n ×": a length n, then n of them *)
 *              | n × ( string, string )                      (* 4 *)
 *              | n × ( string, textdouble )                  (* 3 *)
 *              | n × ( string, double )                      (* 5: 8+ *)
 *              | n × ( length, string )                      (* 18: container, node; 10+ *)
 *              | moduleid, modulefields                      (* 7: 8+ *)
 *              | stream                                      (* 15: 9+; 19: 10+, adds what is marked *; 21: 11+, and **; 26: 13+, and *** *)
 *              | n × ( length, string, string )              (* 22 of Redis: expiry, field, value; 12+ *)
 *              | n × ( string, string, int64 )               (* 22 of Valkey: field, value, expiry, -1: none; 80+ *)
 *              | int64, n × ( length, string, string )       (* 24: lowest expiry, then as distances from it; 12+ *)
 *              | int64, string ;                             (* 25: lowest expiry, listpack; 12+ *)
 *   textdouble = 0xFD | 0xFE | 0xFF | byte, text ;           (* nan, inf, -inf, or that many bytes of text *)
 *   moduleid   = length ;
 *   modulefields = { 1 length | 2 length | 3 float | 4 double | 5 string }, 0 ;        (* the codes are lengths, too *)
 *   stream     = n × ( string, string ),                     (* first id, listpack *)
 *                length, id, [ id, id, length ]*,            (* entries, last id; first id, highest deleted id, entries added *)
 *                n × group, [ producers ]*** ;
 *   group      = string, id, [ length ]*, n × ( rawid, int64, length ), n × consumer ;   (* entries read; pending entries *)
 *   consumer   = string, int64, [ int64 ]**, n × rawid ;     (* seen time, active time; its pending ids *)
 *   producers  = length, length, n × ( string, n × ( string, id ) ), length, length ;
 *   id         = length, length ;    rawid = 16 bytes ;
 */
export const OPCODE = {
  /** KEY_META of Redis, SLOT_IMPORT of Valkey. */
  byMagic: 0xf3,
  slotInfo: 0xf4,
  functionLibrary: RDB_FUNCTION,
  functionBeforeRelease: 0xf6,
  moduleAux: 0xf7,
  idle: 0xf8,
  freq: 0xf9,
  aux: 0xfa,
  resizeDb: 0xfb,
  expireMs: 0xfc,
  expireSeconds: 0xfd,
  selectDb: 0xfe,
  end: 0xff,
} as const;

/** Bytes from here on are opcodes, known or not. */
export const FIRST_OPCODE = 0xf1;

/** What an opcode that can't be read is called, for errors. */
export function opcodeName(opcode: number, isValkey: boolean): string {
  if (opcode === OPCODE.functionBeforeRelease) return "functions of a 7.0 release candidate";
  if (opcode === 0xf2) return isValkey ? "a change made during the save" : "a template of hashes (Redis 8.10)";
  return opcode === 0xf1 && !isValkey ? "protection from eviction (Redis 8.10)" : "unknown opcode";
}
