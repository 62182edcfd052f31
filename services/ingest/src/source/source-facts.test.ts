import { expect, test } from "vitest";
import type { ResumePoint } from "../lanes/resume-point.ts";
import { canContinue } from "./intake.ts";
import { readFacts } from "./replica-link.ts";

test("reads a version, the histories and the number of keys from INFO", () => {
  const info = [
    "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone",
    "# Replication\r\nmaster_replid:abc\r\nmaster_replid2:0000\r\nsecond_repl_offset:-1",
    "# Keyspace\r\ndb0:keys=12,expires=3,avg_ttl=0\r\ndb7:keys=30,expires=0,avg_ttl=0\r\n",
  ].join("\r\n");
  expect(readFacts(info)).toEqual({ version: 70_015, replid: "abc", secondReplOffset: -1, keys: 42 });
});

test("fields that an old server does not have read as none", () => {
  expect(readFacts("redis_version:2.8.24\r\n")).toEqual({ version: 20_824, replid: "", secondReplOffset: -1, keys: 0 });
});

test("continuing is asked for only where no lane is ahead of the source's history", () => {
  const point: ResumePoint = { epoch: 1, replid: "old", offset: 500, db: 0, highest: 900 };
  expect(canContinue(point, { replid: "old", secondReplOffset: 100 })).toBe(true);
  expect(canContinue(point, { replid: "", secondReplOffset: -1 })).toBe(true);
  expect(canContinue(point, { replid: "new", secondReplOffset: 901 })).toBe(true);
  expect(canContinue(point, { replid: "new", secondReplOffset: 900 })).toBe(false);
  expect(canContinue(point, { replid: "new", secondReplOffset: 501 })).toBe(false);
});
