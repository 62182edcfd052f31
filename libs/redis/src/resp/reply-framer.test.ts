import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeReply, errorsInArray, ReplyError } from "./reply.ts";
import type { Reply } from "./reply.ts";
import { ReplyFramer, ReplyType } from "./reply-framer.ts";
import { RespError } from "./resp-error.ts";

const QUEUED = Buffer.from("+QUEUED\r\n");
const OK = Buffer.from("+OK\r\n");

function encode(reply: Reply): Buffer {
  if (reply === null) return Buffer.from("$-1\r\n");
  if (typeof reply === "string") return Buffer.from(`+${reply}\r\n`);
  if (typeof reply === "number" || typeof reply === "bigint") return Buffer.from(`:${reply}\r\n`);
  if (reply instanceof ReplyError) return Buffer.from(`-${reply.message}\r\n`);
  if (Buffer.isBuffer(reply)) return Buffer.concat([Buffer.from(`$${reply.length}\r\n`), reply, Buffer.from("\r\n")]);
  return Buffer.concat([Buffer.from(`*${reply.length}\r\n`), ...reply.map((element) => encode(element))]);
}

const line = fc.string({ unit: fc.constantFrom("a", "Z", " ", "0", "{", "}", "é", "-", "+", ":", "$", "*"), maxLength: 20 });
const { reply } = fc.letrec<{ reply: Reply; scalar: Reply }>((tie) => ({
  scalar: fc.oneof(
    line,
    line.map((text) => new ReplyError(text)),
    fc.maxSafeInteger(),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
    fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
    fc.constant(null),
  ),
  reply: fc.oneof(
    { maxDepth: 4, depthIdentifier: "reply" },
    { weight: 3, arbitrary: tie("scalar") },
    fc.array(tie("reply"), { maxLength: 6, depthIdentifier: "reply" }),
  ),
}));

function frame(bytes: Buffer, sizes: readonly number[]): { replies: Reply[]; error: string | undefined } {
  const framer = new ReplyFramer();
  const replies: Reply[] = [];
  let at = 0;
  try {
    for (let index = 0; at < bytes.length; index++) {
      const size = sizes.length === 0 ? bytes.length : sizes[index % sizes.length]!;
      framer.push(bytes.subarray(at, at + size));
      at += size;
      while (framer.next()) {
        expect(framer.type).toBe(framer.buffer[framer.start]);
        replies.push(decodeReply(framer.buffer, framer.start, framer.end));
      }
    }
  } catch (error) {
    if (!(error instanceof RespError)) throw error;
    return { replies, error: `${error.position} ${error.expected}` };
  }
  return { replies, error: undefined };
}

const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });

describe("ReplyFramer", () => {
  test("gives the same replies whatever the chunks", () => {
    fc.assert(
      fc.property(fc.array(reply, { maxLength: 8 }), sizes, (replies, sizes) => {
        const bytes = Buffer.concat(replies.map((reply) => encode(reply)));
        for (const split of [[], [1], sizes]) expect(frame(bytes, split)).toEqual({ replies, error: undefined });
      }),
    );
  });

  test("a changed byte gives replies or an error, the same in every split", () => {
    fc.assert(
      fc.property(
        fc.array(reply, { minLength: 1, maxLength: 6 }),
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        sizes,
        (replies, where, byte, sizes) => {
          const bytes = Buffer.concat(replies.map((reply) => encode(reply)));
          bytes[where % bytes.length] = byte;
          expect(frame(bytes, sizes)).toEqual(frame(bytes, []));
        },
      ),
      { numRuns: 300 },
    );
  });

  test.each([
    "%1\r\n",
    "$-2\r\n",
    "*-2\r\n",
    ":1a\r\n",
    ":\r\n",
    "$3\r\nabcd\r\n",
    "+a\nb\r\n",
    "+a\rb\r\n",
    "*1\r\n\n",
    "$99999999999\r\n",
  ])("refuses %j", (text) => {
    expect(frame(Buffer.from(text), []).error).toBeDefined();
  });

  test("skips newlines between replies and not inside", () => {
    expect(frame(Buffer.from("\n\n+OK\r\n\n:1\r\n"), []).replies).toEqual(["OK", 1]);
  });

  test("holds to its limits", () => {
    const framer = new ReplyFramer({ maxBulkBytes: 10 });
    framer.push(Buffer.from("$11\r\n"));
    expect(() => framer.next()).toThrow(/at most 10/);
    const short = new ReplyFramer({ maxReplyBytes: 100 });
    short.push(Buffer.from(`*20\r\n${":12345\r\n".repeat(12)}`));
    expect(() => short.next()).toThrow(/at most 100/);
    const line = new ReplyFramer();
    line.push(Buffer.alloc(2 * 1024 * 1024, "+"));
    expect(() => line.next()).toThrow(RespError);
  });

  test("takes runs of equal replies, up to the first other one or the maximum", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(QUEUED, OK), fc.integer({ min: 1, max: 9000 })), { maxLength: 4 }),
        fc.integer({ min: 1, max: 20_000 }),
        sizes,
        (runs, max, sizes) => {
          const framer = new ReplyFramer();
          let expected = 0;
          for (const [template, count] of runs) {
            if (template !== QUEUED) break;
            expected += count;
          }
          const bytes = Buffer.concat(runs.map(([template, count]) => Buffer.alloc(template.length * count, template)));
          const first = sizes[0]!;
          framer.push(bytes.subarray(0, first));
          let taken = framer.takeRun(QUEUED, max);
          framer.push(bytes.subarray(first));
          taken += framer.takeRun(QUEUED, max - taken);
          expect(taken).toBe(Math.min(expected, max));
          let rest = 0;
          while (framer.next()) rest++;
          expect(taken + rest).toBe(runs.reduce((sum, [, count]) => sum + count, 0));
        },
      ),
    );
  });

  test("takes a run after a reply was seen in part", () => {
    const framer = new ReplyFramer();
    framer.push(Buffer.from("+QUE"));
    expect(framer.next()).toBe(false);
    expect(framer.takeRun(QUEUED, 5)).toBe(0);
    framer.push(Buffer.from("UED\r\n+QUEUED\r\n-E\r\n+x\r\n"));
    expect(framer.takeRun(QUEUED, 5)).toBe(2);
    expect(framer.next()).toBe(true);
    expect(framer.type).toBe(ReplyType.error);
    expect(framer.end - framer.start).toBe(4);
    expect(framer.takeRun(QUEUED, 5)).toBe(0);
    expect(framer.next()).toBe(true);
    expect(framer.pendingBytes).toBe(0);
  });

  test("finds a large nested array without rescanning it", () => {
    const framer = new ReplyFramer();
    const bytes = encode(Array.from({ length: 100_000 }, (_, index) => [index, Buffer.from("x")]));
    const startedMs = performance.now();
    for (let at = 0; at < bytes.length; at += 256) {
      framer.push(bytes.subarray(at, at + 256));
      if (framer.next()) break;
    }
    expect(framer.end - framer.start).toBe(bytes.length);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
  }, 30_000);
});

describe("errorsInArray", () => {
  test("visits the errors among the elements only", () => {
    const elements: Reply[] = [
      "OK",
      new ReplyError("WRONGTYPE a"),
      [new ReplyError("ERR inner")],
      Buffer.from("-no\r\n"),
      null,
      new ReplyError("OOM b"),
    ];
    const bytes = encode(elements);
    const seen: string[] = [];
    const count = errorsInArray(bytes, 0, bytes.length, (index, start, end) =>
      seen.push(`${index} ${bytes.toString("latin1", start, end)}`),
    );
    expect(count).toBe(6);
    expect(seen).toEqual(["1 -WRONGTYPE a", "5 -OOM b"]);
    expect(errorsInArray(Buffer.from("*-1\r\n"), 0, 5, () => expect.unreachable())).toBe(-1);
    expect(() => errorsInArray(OK, 0, 5, () => undefined)).toThrow(RespError);
  });
});

describe("decodeReply", () => {
  test("an error has its first word as code", () => {
    expect(new ReplyError("MOVED 1 a:1").code).toBe("MOVED");
    expect(new ReplyError("EXECABORT").code).toBe("EXECABORT");
  });

  test("refuses extents that are not one reply, and bottomless nesting", () => {
    const nested = Buffer.from("*1\r\n".repeat(200) + ":1\r\n");
    for (const bytes of [
      Buffer.from("+OK"),
      Buffer.from("+OK\r\n+OK\r\n"),
      Buffer.from("$5\r\nab\r\n"),
      Buffer.from("*2\r\n:1\r\n"),
      nested,
    ]) {
      expect(() => decodeReply(bytes, 0, bytes.length)).toThrow(RespError);
    }
  });
});
