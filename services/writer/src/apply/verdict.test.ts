import { expect, test } from "vitest";
import { quotable, verdictOf, type Verdict } from "./verdict.ts";

test.each<readonly [string, Verdict]>([
  ["LOADING Redis is loading the dataset in memory", "wait"],
  ["BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", "wait"],
  ["READONLY You can't write against a read only replica.", "wait"],
  ["OOM command not allowed when used memory > 'maxmemory'.", "wait"],
  ["MISCONF Redis is configured to save RDB snapshots", "wait"],
  ["NOREPLICAS Not enough good replicas to write.", "wait"],
  ["MASTERDOWN Link with MASTER is down", "wait"],
  ["CLUSTERDOWN The cluster is down", "wait"],
  ["ERR max number of clients reached", "wait"],
  ["ERR max number of clients + cluster connections reached", "wait"],
  ["EXECABORT Transaction discarded because of: OOM command not allowed", "wait"],
  ["EXECABORT Transaction discarded because of: NOPERM no", "halt"],
  ["EXECABORT Transaction discarded because of previous errors.", "halt"],
  ["@user_script: 12: -OOM command not allowed when used memory > 'maxmemory'.", "wait"],
  ["@user_script: 12: Unknown Redis command called from Lua script", "halt"],
  ["MOVED 3999 127.0.0.1:6381", "redirect"],
  ["ASK 3999 127.0.0.1:6381", "redirect"],
  ["TRYAGAIN Multiple keys request during rehashing of slot", "redirect"],
  ["WRONGTYPE Operation against a key holding the wrong kind of value", "diverged"],
  ["BUSYKEY Target key name already exists.", "diverged"],
  ["BUSYGROUP Consumer Group name already exists", "diverged"],
  ["NOGROUP No such key 'k' or consumer group", "diverged"],
  ["NOSCRIPT No matching script.", "diverged"],
  ["ERR value is not an integer or out of range", "diverged"],
  ["ERR increment or decrement would overflow", "diverged"],
  ["ERR no such key", "diverged"],
  ["ERR index out of range", "diverged"],
  ["ERR The ID specified in XADD is equal or smaller than the target stream top item", "diverged"],
  ["ERR unknown command 'HSETEX', with args beginning with: ", "halt"],
  ["ERR DB index is out of range", "halt"],
  ["NOAUTH Authentication required.", "halt"],
  ["NOPERM this user has no permissions", "halt"],
  ["WRONGPASS invalid username-password pair", "halt"],
  ["CROSSSLOT Keys in request don't hash to the same slot", "halt"],
  ["BUSYBODY is another word", "halt"],
  ["SOMETHING new", "halt"],
  ["no such key", "halt"],
  ["", "halt"],
])("%s means %s", (error, verdict) => {
  expect(verdictOf(error)).toBe(verdict);
});

test.each([
  ["ERR unknown command 'HSETEX', with args beginning with: 'user:7' 'alice' ", "ERR unknown command 'HSETEX'"],
  ["ERR unknown command `HSETEX`, with args beginning with: `user:7`, ", "ERR unknown command `HSETEX`"],
  [
    "EXECABORT Transaction discarded because of: ERR unknown command 'X', with args beginning with: 'user:7'",
    "EXECABORT Transaction discarded because of: ERR unknown command 'X'",
  ],
  ["WRONGTYPE Operation against a key\r\n", "WRONGTYPE Operation against a key\\x0d\\x0a"],
  [`ERR ${"x".repeat(300)}`, `ERR ${"x".repeat(196)}`],
])("%s is quoted without the user's data", (error, quoted) => {
  expect(quotable(error)).toBe(quoted);
});
