import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CommandFramer } from "./command-framer.ts";
import type { CommandFramerOptions } from "./command-framer.ts";
import { encodeCommand } from "./encode-command.ts";
import { RespError } from "./resp-error.ts";

const argument = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
const piece = fc.oneof(
  { weight: 8, arbitrary: fc.array(argument, { minLength: 1, maxLength: 12 }).map((args) => encodeCommand(args)) },
  fc.constantFrom(Buffer.from("\n"), Buffer.from("*0\r\n"), Buffer.from("*-1\r\n")),
);
const stream = fc.array(piece, { maxLength: 20 }).map((pieces) => Buffer.concat(pieces));

/** Chunks of the sizes given, over and over; the rest is the last one. */
function* chunksOf(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
  let at = 0;
  for (let index = 0; at < bytes.length; index++) {
    const size = sizes.length === 0 ? bytes.length : sizes[index % sizes.length]!;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

interface Command {
  readonly offset: number;
  readonly headerLength: number;
  readonly raw: string;
  readonly args: string[];
}

interface Framed {
  readonly commands: Command[];
  readonly offset: number;
  readonly newlines: number;
  readonly error: string | undefined;
}

function frame(bytes: Buffer, sizes: readonly number[], options: CommandFramerOptions = {}): Framed {
  const framer = new CommandFramer(options);
  const commands: Command[] = [];
  let error: string | undefined;
  try {
    for (const chunk of chunksOf(bytes, sizes)) {
      framer.push(chunk);
      while (framer.next()) {
        const raw = framer.buffer.toString("latin1", framer.start, framer.end);
        const args = Array.from({ length: framer.argc }, (_, index) =>
          framer.buffer.toString("latin1", framer.argStart(index), framer.argEnd(index)),
        );
        commands.push({ offset: framer.offset, headerLength: framer.headerLength, raw, args });
      }
    }
  } catch (cause) {
    if (!(cause instanceof RespError)) throw cause;
    // What was quoted depends on how much had arrived; where does not.
    error = `${cause.position} ${cause.expected}`;
  }
  return { commands, offset: framer.offset, newlines: framer.skippedNewlines, error };
}

/** The error that stops the framer. */
function refusalOf(framer: CommandFramer): RespError {
  try {
    while (framer.next());
  } catch (error) {
    if (error instanceof RespError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 10 });

describe("CommandFramer", () => {
  test("gives the same commands whatever the chunks", () => {
    fc.assert(
      fc.property(stream, sizes, (bytes, sizes) => {
        const whole = frame(bytes, []);
        expect(whole.error).toBeUndefined();
        expect(whole.offset + whole.newlines).toBe(bytes.length);
        expect(frame(bytes, sizes)).toEqual(whole);
        expect(frame(bytes, [1])).toEqual(whole);
      }),
    );
  });

  test("gives back the arguments that were encoded", () => {
    fc.assert(
      fc.property(fc.array(argument, { minLength: 1, maxLength: 200 }), sizes, (args, sizes) => {
        const [command] = frame(encodeCommand(args), sizes).commands;
        expect(Buffer.from(command!.raw, "latin1")).toEqual(encodeCommand(args));
        expect(command!.args).toEqual(args.map((arg) => arg.toString("latin1")));
      }),
    );
  });

  test("keeps its place while the buffer is compacted, grows and shrinks", () => {
    // Several times the idle capacity; every third command is larger than it.
    const commands = Array.from({ length: 40 }, (_, index) => {
      const size = index % 3 === 0 ? 150_000 : 1000 * index;
      return ["SET", `key:${index}`, "v".repeat(size), "w".repeat(size >> 1), String(index)];
    });
    const bytes = Buffer.concat(commands.map((args) => encodeCommand(args)));
    for (const size of [997, 65_536, 400_000]) {
      const framed = frame(bytes, [size]);
      expect(framed.commands.map(({ args }) => args)).toEqual(commands);
      expect(framed.offset).toBe(bytes.length);
    }
  });

  test("a changed byte, a missing or a doubled piece gives whole valid commands or an error at the same place in every split", () => {
    fc.assert(
      fc.property(
        stream,
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        fc.constantFrom("change", "drop", "double"),
        sizes,
        (bytes, where, byte, kind, sizes) => {
          const at = bytes.length === 0 ? 0 : where % bytes.length;
          const middle = kind === "change" ? [byte] : kind === "drop" ? [] : [bytes[at] ?? 0, bytes[at] ?? 0];
          const mutated = Buffer.concat([bytes.subarray(0, at), Buffer.from(middle), bytes.subarray(at + 1)]);
          const whole = frame(mutated, []);
          const split = frame(mutated, sizes);
          expect(split.commands).toEqual(whole.commands);
          expect(split.error).toBe(whole.error);
          for (const { raw, args } of whole.commands) {
            expect(encodeCommand(args.map((arg) => Buffer.from(arg, "latin1"))).toString("latin1")).toBe(raw);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test.each([
    ["PING\r\n", 0, "PING"],
    ["\r\n", 0, String.raw`\r\n`],
    ["*1\r\n+PING\r\n", 4, "+PING"],
    ["*1\n$4\r\nPING\r\n", 0, "*1"],
    ["*01\r\n", 0, "*01"],
    ["*+1\r\n", 0, "*+1"],
    ["*\r\n", 0, "*"],
    ["*2147483648\r\n", 0, "*2147483648"],
    ["*1\r\n$-1\r\n", 4, "$-1"],
    ["*1\r\n$4\r\nPINGS\r\n", 12, String.raw`S\r`],
    ["*1\r\n$4\r\nPING\n", 12, String.raw`\n`],
    ["\n*1\r\n$4\r\nPING\r\n\u0001", 15, String.raw`\x01`],
    [`*1\r\n${"x".repeat(100)}`, 4, "x".repeat(32)],
  ])("refuses %j", (text, position, read) => {
    const framer = new CommandFramer();
    framer.push(Buffer.from(text));
    const error = refusalOf(framer);
    expect([error.position, error.read.slice(0, read.length)]).toEqual([position, read]);
    expect(error.read.length).toBeLessThanOrEqual(4 * 32);
    expect(refusalOf(framer)).toBe(error);
  });

  test("keeps the replication offset: commands and empty ones count, keep-alive newlines do not", () => {
    const framer = new CommandFramer({ offset: 1000 });
    framer.push(Buffer.from("\n\n*0\r\n*1\r\n$4\r\nPING\r\n\n*-1\r\n\n"));
    expect(framer.next()).toBe(true);
    expect(framer.offset).toBe(1018);
    expect(framer.next()).toBe(false);
    expect(framer.offset).toBe(1023);
    expect(framer.skippedNewlines).toBe(4);
    expect(framer.pendingBytes).toBe(0);
  });

  test("holds to its limits before the bytes arrive", () => {
    expect(frame(Buffer.from("*1\r\n$11\r\n"), [], { maxBulkBytes: 10 }).error).toMatch(/^4 an argument length of at most 10/);
    expect(frame(Buffer.from("*2\r\n$10\r\n"), [], { maxCommandBytes: 20 }).error).toMatch(/^4 a command of at most 20/);
    expect(frame(Buffer.from("*1000\r\n"), [], { maxCommandBytes: 5000 }).error).toMatch(/^0 a command of at most 5000/);
    expect(frame(encodeCommand(["0123456789"]), [], { maxBulkBytes: 10, maxCommandBytes: 21 }).error).toBeUndefined();
  });

  test("walks a command of a million arguments once, and gives its memory back", () => {
    const args = Array.from({ length: 1_000_000 }, (_, index) => String(index));
    const bytes = encodeCommand(["SADD", "set", ...args]);
    const framer = new CommandFramer();
    framer.push(encodeCommand(["PING"]));
    const startedMs = performance.now();
    let found = 0;
    for (const chunk of chunksOf(bytes, [1024])) {
      framer.push(chunk);
      while (framer.next()) found++;
    }
    // One rescan per chunk would be 12 000 walks over up to 12 MB.
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    expect(found).toBe(2);
    expect(framer.argc).toBe(1_000_002);
    for (const index of [0, 1, 63, 64, 65, 127, 128, 65_536, 999_999]) {
      expect(framer.buffer.toString("latin1", framer.argStart(index + 2), framer.argEnd(index + 2))).toBe(String(index));
    }
    expect(framer.buffer.toString("latin1", framer.argStart(0), framer.argEnd(0))).toBe("SADD");
    expect(framer.buffer.length).toBeGreaterThan(bytes.length);
    for (let index = 0; index < 40; index++) {
      framer.push(encodeCommand(["PING"]));
      expect(framer.next()).toBe(true);
    }
    expect(framer.buffer.length).toBeLessThan(1024 * 1024);
    expect(framer.argStarts.length).toBeLessThan(1000);
  }, 30_000);
});

// Mutation: stream-buffer.ts, `whole` is copied.
test("commands that are all there are framed in place", () => {
  const whole = Buffer.concat([encodeCommand(["SET", "a", "1"]), encodeCommand(["DEL", "b"])]);
  const framer = new CommandFramer({}, whole);
  const names: string[] = [];
  while (framer.next()) names.push(framer.buffer.toString("latin1", framer.argStart(0), framer.argEnd(0)));
  expect([names, framer.buffer === whole, framer.offset]).toEqual([["SET", "DEL"], true, whole.length]);
  expect(new CommandFramer({}, Buffer.alloc(0)).next()).toBe(false);
});
