import { encodeCommand } from "@sluice/redis";
import { describe, expect, test } from "vitest";
import { commandOf, commandsOf, keyOfPlace, placeOf } from "./commands-of.ts";
import { LostVerdict } from "./lost-verdict.ts";
import { ChangeRows } from "@sluice/wire";

const command = (line: string, db = 0) => commandOf(encodeCommand(line.split(" ")), db);

/** The verdict on the keys of `lines` when the destination answers so, in the order of the questions. */
function judge(lines: readonly string[], ...answers: readonly (string | Error)[]) {
  const verdict = new LostVerdict();
  for (const line of lines) verdict.add(command(line));
  const questions = verdict.questions().map(({ command: [name, , ...rest] }) => [name, ...rest].join(" "));
  const { failed, unknown } = verdict.judge(answers);
  return { questions, failed: [...failed], unknown: [...unknown] };
}

describe("a lost verdict", () => {
  test.each<readonly [string, readonly string[], readonly string[], "well" | "failed" | "unknown"]>([
    ["a list that is one", ["RPUSH k 1"], ["list"], "well"],
    ["a list that is text", ["RPUSH k 1"], ["string"], "failed"],
    ["a list that is gone: popped since", ["RPUSH k 1", "LPOP k"], ["none"], "well"],
    ["what was set anew since", ["RPUSH k 1", "SET k v"], [], "well"],
    ["what was deleted and written anew since", ["RPUSH k 1", "DEL k", "SADD k 1"], ["set"], "well"],
    ["an expiry", ["PEXPIREAT k 1"], [], "well"],
    ["a counter that is a number", ["INCR k"], ["string", "17"], "well"],
    ["a counter that is none", ["INCR k"], ["string", "planted"], "failed"],
    ["a counter of another type", ["INCR k"], ["hash", "0"], "failed"],
    ["a counter that was written otherwise since", ["INCR k", "APPEND k x"], ["string", "17x"], "unknown"],
    ["a counter at the end of its range", ["INCRBY k 10"], ["string", "9223372036854775800"], "unknown"],
    ["a counter at the other end", ["DECRBY k 10"], ["string", "-9223372036854775800"], "unknown"],
    ["a field that is a number", ["HINCRBY k f 1"], ["hash", "5"], "well"],
    ["a field that is none", ["HINCRBY k f 1"], ["hash", "x"], "failed"],
    ["a field that is none, with others set since", ["HINCRBY k f 1", "HSET k g 1"], ["hash", "x"], "unknown"],
    [
      "a stream at its last id",
      ["XADD k MAXLEN ~ 5 LIMIT 9 7-1 a b"],
      ["stream", "length,1,last-generated-id,7-1,groups,0"],
      "well",
    ],
    ["a stream beyond it", ["XADD k NOMKSTREAM 7-1 a b"], ["stream", "length,1,last-generated-id,9-1,groups,0"], "unknown"],
    ["what names several keys", ["RENAME k j"], [], "unknown"],
    ["what fails by other things than a type", ["LSET k 0 v"], [], "unknown"],
    ["what fails by a type and other things", ["LSET k 0 v", "RPUSH k 1"], ["list"], "unknown"],
    ["a SET that reads", ["SET k v GET"], [], "unknown"],
    ["what another key was renamed to", ["RPUSH k 1", "RENAME j k"], ["string"], "unknown"],
    ["what was emptied, and then set where nothing stood", ["LPOP k", "SETNX k v"], ["string"], "unknown"],
    ["what a whole database went away with", ["RPUSH k 1", "FLUSHALL"], ["string"], "unknown"],
    ["two types without an end to the first", ["LPUSH k 1", "SADD k 1"], ["set"], "unknown"],
    ["a stream that was added to twice", ["XADD k 5-3 a b", "XADD k 6-0 a b"], ["stream", "last-generated-id,6-0"], "unknown"],
    ["a counter that took two different steps", ["INCRBY k 10", "INCR k"], ["string", "17"], "unknown"],
  ])("%s", (_name, lines, answers, expected) => {
    const { failed, unknown, questions } = judge(lines, ...answers);
    const of = failed.includes("0:k") ? "failed" : unknown.includes("0:k") ? "unknown" : "well";
    expect([of, questions.length]).toEqual([expected, answers.length]);
  });

  test("an answer that is an error tells nothing", () => {
    expect(judge(["INCR k"], "string", new Error("LOADING"))).toMatchObject({ failed: [], unknown: ["0:k"] });
    expect(judge(["RPUSH k 1"], new Error("LOADING"))).toMatchObject({ failed: [], unknown: ["0:k"] });
  });

  test("questions and answers of many keys keep their order", () => {
    const lines = ["INCR a", "RPUSH b 1", "HINCRBY c f 1", "RPUSH d 1"];
    expect(judge(lines, "string", "x", "list", "hash", "1", "string")).toEqual({
      questions: ["TYPE", "GETRANGE 0 31", "TYPE", "TYPE", "HGET f", "TYPE"],
      failed: ["0:a", "0:d"],
      unknown: [],
    });
  });
});

describe("the keys of a command", () => {
  test.each([
    ["SET a 1", ["3:a"]],
    ["MSET a 1 b 2", ["3:a", "3:b"]],
    ["MOVE a 5", ["3:a", "5:a"]],
    ["COPY a b DB 7 REPLACE", ["3:a", "7:b"]],
    ["COPY a b", ["3:a", "3:b"]],
    ["EVAL script 2 a b c", ["3:a", "3:b"]],
    ["FLUSHALL", []],
    ["NOSUCH a", null],
  ])("%s", (line, places) => {
    expect(command(line, 3).places).toEqual(places);
  });

  test("keep their bytes", () => {
    const key = Buffer.from([0, 58, 255, 13, 10]);
    expect(keyOfPlace(placeOf(12, key))).toEqual({ db: 12, key });
  });

  test("of rows in the middle of a batch", () => {
    const rows = new ChangeRows(1);
    const bodies = ["SET a 1", "SET b 1", "SET c 1"].map((line) => encodeCommand(line.split(" ")));
    for (const [index, body] of bodies.entries()) rows.add(body.length, 3, index + 1, 0, index, 3, 4);
    const found = [...commandsOf({ slice: { rows, body: Buffer.concat(bodies) }, from: 1, until: 2 })];
    expect(found.map(({ row, command: { places } }) => [row, places])).toEqual([[1, ["1:b"]]]);
  });
});
