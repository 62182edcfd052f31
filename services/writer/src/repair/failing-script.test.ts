import { commandTable } from "@sluice/redis";
import { expect, test } from "vitest";
import { isFailingScript } from "./failing-script.ts";

const EVAL = commandTable.idOf("EVAL");

// Mutations: failing-script.ts, the kind not looked at; NOSCRIPT not told apart; every error taken for the source's own.
test.each<readonly [string, number, string, boolean]>([
  ["a state error of a call", EVAL, "WRONGTYPE Operation against a key script: 0b32, on @user_script:1.", true],
  ["a state error that the script gave back", EVAL, "WRONGTYPE Operation against a key holding the wrong kind of value", true],
  ["as servers before 7.0 wrap it", EVAL, "ERR Error running script (call to f_0b): @user_script:1: WRONGTYPE Operation", true],
  ["EVALSHA", commandTable.idOf("EVALSHA"), "ERR value is not an integer or out of range", true],
  ["a script that is not there", commandTable.idOf("EVALSHA"), "NOSCRIPT No matching script.", false],
  ["a command that the destination lacks", EVAL, "ERR Unknown Redis command called from script script: 0b", false],
  ["no memory", EVAL, "OOM command not allowed when used memory > 'maxmemory'.", false],
  ["no permission", EVAL, "NOPERM this user has no permissions to run the 'eval' command", false],
  ["no script", commandTable.idOf("LPUSH"), "WRONGTYPE Operation against a key holding the wrong kind of value", false],
  ["a command that no table has", -1, "WRONGTYPE Operation against a key", false],
])("fails as at its source: %s", (_, id, error, expected) => {
  expect(isFailingScript(id, error)).toBe(expected);
});
