import { ManualClock, silentLog } from "@sluice/runtime";
import { expect, test } from "vitest";
import { SourceWrites, writeCallsIn } from "./source-writes.ts";

test("counts the calls of commands that write, in the words of 7.0 and of before", () => {
  const text = [
    "# Commandstats",
    "cmdstat_set:calls=20,usec=1,usec_per_call=1.00",
    "cmdstat_get:calls=1000,usec=1,usec_per_call=1.00",
    "cmdstat_xgroup|create:calls=3,usec=1,usec_per_call=1.00,rejected_calls=7,failed_calls=0",
    "cmdstat_config|set:calls=50,usec=1",
    "cmdstat_evalsha:calls=60,usec=1",
    "cmdstat_flushall:calls=1,usec=1",
    "cmdstat_json.set:calls=9,usec=1",
    "cmdstat_nobody.knows:calls=70,usec=1",
  ];
  expect(writeCallsIn(text.join("\r\n"))).toBe(33);
  expect(writeCallsIn("")).toBe(0);
});

type Sample = readonly [calls: number, offset: number, replid?: string];

async function quietBehind(samples: readonly Sample[]): Promise<number | null> {
  const clock = new ManualClock();
  const writes = new SourceWrites(clock, silentLog());
  for (const sample of samples) {
    const source = { text: (_: unknown, [, what]: string[]) => Promise.resolve(answer(what ?? "", sample)) } as never;
    await writes.ask(source, [{ id: "s0", host: "h", port: 1 }]);
    await clock.advance(1_000);
  }
  return writes.quietMs;
}

function answer(what: string, [calls, offset, replid = "r1"]: Sample): string {
  if (what === "commandstats") return `cmdstat_set:calls=${calls},usec=1\r\n`;
  return `role:master\r\nmaster_replid:${replid}\r\nmaster_repl_offset:${offset}\r\n`;
}

test("a write is a call and a growth of the stream; pings and expiries are no calls, reads no growth", async () => {
  expect(
    await quietBehind([
      [1, 10],
      [1, 24],
      [1, 60],
    ]),
  ).toBe(3_000);
  expect(
    await quietBehind([
      [1, 10],
      [5, 10],
      [9, 10],
    ]),
  ).toBe(3_000);
  expect(
    await quietBehind([
      [1, 10],
      [2, 60],
      [2, 74],
    ]),
  ).toBe(2_000);
  expect(
    await quietBehind([
      [9, 10],
      [9, 60],
      [0, 74],
    ]),
  ).toBe(1_000);
  expect(
    await quietBehind([
      [9, 10],
      [9, 10],
      [9, 10, "r2"],
    ]),
  ).toBe(1_000);
});

test("a sample names the history that its offset counts in: before 4.0 that is the run of the server", async () => {
  const writes = new SourceWrites(new ManualClock(), silentLog());
  const texts: Record<string, string> = { replication: "role:master\r\nmaster_repl_offset:7\r\n", server: "run_id:abc\r\n" };
  const old = { text: (_: unknown, [, what]: string[]) => Promise.resolve(texts[what ?? ""] ?? "") } as never;
  await writes.ask(old, [{ id: "s0", host: "h", port: 1 }]);
  expect(writes.samples.get("s0")).toEqual({ calls: 0, offset: 7, replid: "abc" });
  const nameless = { text: () => Promise.resolve("master_repl_offset:7\r\n") } as never;
  await writes.ask(nameless, [{ id: "s0", host: "h", port: 1 }]);
  expect(writes.failure).toBe("INFO names neither master_replid nor run_id");
});

test("a source that can't be asked is not quiet, whatever it said before, and begins anew", async () => {
  const clock = new ManualClock();
  const writes = new SourceWrites(clock, silentLog());
  const shards = [{ id: "s0", host: "h", port: 1 }];
  const up = { text: (_: unknown, [, what]: string[]) => Promise.resolve(answer(what ?? "", [1, 10])) } as never;
  const down = { text: () => Promise.reject(new Error("connection refused")) } as never;
  expect(writes.quietMs).toBeNull();
  await writes.ask(up, shards);
  await clock.advance(5_000);
  expect(writes.quietMs).toBe(5_000);
  await writes.ask(down, shards);
  expect([writes.quietMs, writes.failure]).toEqual([null, "connection refused"]);
  await clock.advance(5_000);
  await writes.ask(down, shards);
  expect(writes.failingMs).toBe(5_000);
  await writes.ask(up, shards);
  expect([writes.quietMs, writes.failingMs]).toEqual([0, 0]);
  await writes.ask(up, []);
  expect(writes.quietMs).toBeNull();
});
