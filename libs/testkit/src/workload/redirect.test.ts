import { expect, test } from "vitest";
import { isLost } from "./outlet.ts";
import { redirectOf } from "./redirect.ts";

const reply = (message: string): Error => Object.assign(new Error(message), { name: "ReplyError" });

test.each([
  [reply("MOVED 3999 127.0.0.1:6381"), { kind: "moved", host: "127.0.0.1", port: 6381 }, false],
  [reply("MOVED 3999 :6381"), { kind: "moved", host: "", port: 6381 }, false],
  [reply("ASK 3999 ::1:6381"), { kind: "ask", host: "::1", port: 6381 }, false],
  [reply("TRYAGAIN Multiple keys request during rehashing of slot"), { kind: "later" }, false],
  [reply("CLUSTERDOWN The cluster is down"), { kind: "later" }, false],
  [reply("LOADING Redis is loading the dataset in memory"), { kind: "later" }, false],
  [reply("ERR Script attempted to access a non local key in a cluster node"), undefined, false],
  [reply("EXECABORT Transaction discarded because of previous errors."), undefined, false],
  [new Error("Stream isn't writeable and enableOfflineQueue options is false"), { kind: "later" }, true],
  [new Error("Connection is closed."), undefined, true],
  [Buffer.from("MOVED 1 a:1"), undefined, false],
])("%s", (answer, redirect, lost) => {
  expect(redirectOf(answer)).toEqual(redirect);
  expect(isLost(answer)).toBe(lost);
});
