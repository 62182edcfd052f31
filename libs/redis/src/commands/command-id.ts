import { commandTable } from "./command-table.ts";

/** Numbers in `commandTable` of the commands that the data path treats one by one. */
export const CommandId = Object.freeze({
  PING: commandTable.idOf("PING"),
  REPLCONF: commandTable.idOf("REPLCONF"),
  SELECT: commandTable.idOf("SELECT"),
  MULTI: commandTable.idOf("MULTI"),
  EXEC: commandTable.idOf("EXEC"),
  SET: commandTable.idOf("SET"),
  MSET: commandTable.idOf("MSET"),
  DEL: commandTable.idOf("DEL"),
  UNLINK: commandTable.idOf("UNLINK"),
  PEXPIREAT: commandTable.idOf("PEXPIREAT"),
  RESTORE: commandTable.idOf("RESTORE"),
  RPOPLPUSH: commandTable.idOf("RPOPLPUSH"),
  BRPOPLPUSH: commandTable.idOf("BRPOPLPUSH"),
  FLUSHALL: commandTable.idOf("FLUSHALL"),
  FLUSHDB: commandTable.idOf("FLUSHDB"),
  SWAPDB: commandTable.idOf("SWAPDB"),
  FUNCTION: commandTable.idOf("FUNCTION"),
  PUBLISH: commandTable.idOf("PUBLISH"),
  SPUBLISH: commandTable.idOf("SPUBLISH"),
  CLUSTER: commandTable.idOf("CLUSTER"),
  EVAL: commandTable.idOf("EVAL"),
  EVALSHA: commandTable.idOf("EVALSHA"),
  SCRIPT: commandTable.idOf("SCRIPT"),
});
