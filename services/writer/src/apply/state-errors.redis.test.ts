import { RedisServer } from "@sluice/testkit";
import { expect, test } from "vitest";
import { verdictOf } from "./verdict.ts";

/** What stands in a destination that is not what stood at the source, and a command of the stream that can't be run on it. */
const DIVERGED: readonly (readonly [planted: string, command: string])[] = [
  ["SET k text", "INCR k"],
  ["SET k text", "INCRBYFLOAT k 1"],
  ["SET k text", "LPUSH k a"],
  ["SET k 9223372036854775807", "INCR k"],
  ["HSET k f text", "HINCRBY k f 1"],
  ["HSET k f text", "HINCRBYFLOAT k f 1"],
  ["SET other 1", "RENAME k other"],
  ["SET other 1", "LSET k 0 a"],
  ["RPUSH k a", "LSET k 5 a"],
  ["XADD k 9-1 f v", "XADD k 5-1 f v"],
  ["XADD k 9-1 f v", "XSETID k 5-1"],
  ["XADD k 9-1 f v", "XSETID k 9-1 ENTRIESADDED 0 MAXDELETEDID 0-0"],
  ["XADD k 18446744073709551615-18446744073709551615 f v", "XADD k * f v"],
  ["SET other 1", "XGROUP CREATE k g 0"],
  ["XGROUP CREATE k g 0 MKSTREAM", "XGROUP CREATE k g 0"],
  ["XADD k 9-1 f v", "XCLAIM k g c 0 9-1"],
  ["ZADD k inf m", "ZINCRBY k -inf m"],
  ["ZADD k 1 m", "GEOSEARCHSTORE d k FROMMEMBER other BYRADIUS 1 m"],
  ["SET k text", "PFADD k a"],
];

// Mutation: verdict.ts, a line of STATE_ERRORS left out that one of these meets: what differs halts where it could be repaired.
test("what a server says of a key that is not what it was at the source is told from what nobody can repair", async () => {
  await using server = await RedisServer.start();
  const client = server.client();
  for (const [planted, command] of DIVERGED) {
    await client.flushall();
    const [first, ...rest] = planted.split(" ") as [string, ...string[]];
    await client.call(first, ...rest);
    const [name, ...args] = command.split(" ") as [string, ...string[]];
    const error = await client.call(name, ...args).then(
      (reply: unknown) => `no error: ${JSON.stringify(reply)}`,
      (cause: unknown) => (cause as Error).message,
    );
    expect([planted, command, error, verdictOf(error)]).toEqual([planted, command, error, "diverged"]);
  }
});
