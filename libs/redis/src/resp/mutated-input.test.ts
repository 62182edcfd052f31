import { Random } from "@sluice/testkit";
import { expect, test } from "vitest";
import { CommandFramer } from "./command-framer.ts";
import { encodeCommand } from "./encode-command.ts";
import { mutate, randomChunks } from "./mutation.sample.ts";
import { decodeReply, ReplyError } from "./reply.ts";
import type { Reply } from "./reply.ts";
import { ReplyFramer } from "./reply-framer.ts";
import { RespError } from "./resp-error.ts";

/** How many mutated inputs each test tries; the same ones for the same number of the seed. */
const INPUTS = Number(process.env["SLUICE_MUTATIONS"] ?? 4000);
const SEED = Number(process.env["SLUICE_MUTATION_SEED"] ?? 1);
const IDLE_BYTES = 256 * 1024;
const LONG_MS = 60_000 + INPUTS;

const randomCommand = (random: Random): Buffer =>
  encodeCommand(Array.from({ length: random.between(1, 6) }, () => value(random)));

/** Bytes of any kind, among them some that look like RESP. */
function value(random: Random): Buffer {
  const draw = random.fraction();
  if (draw < 0.5) return Buffer.from(random.word(random.between(0, 12)));
  if (draw < 0.7) return random.bytes(random.between(0, 20));
  return Buffer.from(random.pick(["\r\n", "*1\r\n$1\r\na\r\n", "$3\r\n", "\n", "*0\r\n", "-1", "+OK\r\n", ":1\r\n"]));
}

/** What a framer made of its input. */
interface Outcome {
  /** Commands or replies as they stood there. */
  readonly raw: string[];
  /** Where the framer stopped and what it expected, without what it quoted: that depends on how much had arrived. */
  readonly error: string | null;
}

/** Empty commands and newlines, which a stream may have between commands. */
const BETWEEN = /^(?:\n|\*(?:0|-[1-9]\d*)\r\n)*$/;

/** Frames the chunks, and says what is wrong with how that was done; `bytes` is all of them. */
function frameCommands(bytes: Buffer, chunks: Iterable<Buffer>): Outcome & { problem: string | null } {
  const framer = new CommandFramer();
  const raw: string[] = [];
  let pushed = 0;
  let behind = 0;
  const failed = (problem: string, error: string | null = null): Outcome & { problem: string } => ({ raw, error, problem });
  try {
    for (const chunk of chunks) {
      framer.push(chunk);
      pushed += chunk.length;
      while (framer.next()) {
        const args = Array.from({ length: framer.argc }, (_, index) =>
          framer.buffer.subarray(framer.argStart(index), framer.argEnd(index)),
        );
        const own = framer.buffer.toString("latin1", framer.start, framer.end);
        if (encodeCommand(args).toString("latin1") !== own) return failed("a command is not what its arguments make");
        // Where the command lies in the input follows from the bytes that were counted, and from nothing else.
        const end = framer.offset + framer.skippedNewlines;
        if (bytes.toString("latin1", end - own.length, end) !== own) return failed("the offset is not where the command ends");
        if (!BETWEEN.test(bytes.toString("latin1", behind, end - own.length))) return failed("bytes were passed over");
        behind = end;
        raw.push(own);
      }
      if (framer.buffer.length > Math.max(IDLE_BYTES, 4 * pushed)) return failed("the buffer is too large");
      if (framer.argStarts.length > Math.max(64, pushed)) return failed("the extents are too many");
    }
  } catch (cause) {
    if (!(cause instanceof RespError)) return failed(`threw ${String(cause)}`);
    if (cause.position < behind || cause.position > bytes.length) return failed("the error is somewhere else");
    return { raw, error: `${cause.position} ${cause.expected}`, problem: null };
  }
  const waiting = bytes.length - framer.pendingBytes;
  return BETWEEN.test(bytes.toString("latin1", behind, waiting))
    ? { raw, error: null, problem: null }
    : failed("bytes were passed over");
}

function shown(bytes: Buffer): string {
  return JSON.stringify(bytes.toString("latin1").slice(0, 400));
}

// Mutations that were seen to fail: an argument's end of line that is not looked at; `starts` allocated by `argc` at once; skipping of anything up to `*`.
test(
  `of ${INPUTS} mutated streams, all that is taken is what was sent, in every split, in bounded memory`,
  { timeout: LONG_MS },
  () => {
    const random = new Random(SEED);
    let errors = 0;
    let whole = 0;
    for (let input = 0; input < INPUTS; input++) {
      const commands = Array.from({ length: random.between(1, 6) }, () => randomCommand(random));
      const { bytes, from } = mutate(Buffer.concat(commands), random);
      const once = frameCommands(bytes, [bytes]);
      const split = frameCommands(bytes, randomChunks(bytes, random));
      const before: string[] = [];
      for (let end = 0; before.length < commands.length;) {
        const command = commands[before.length]!;
        if ((end += command.length) > from) break;
        before.push(command.toString("latin1"));
      }
      const problem =
        once.problem ??
        split.problem ??
        (JSON.stringify(once) === JSON.stringify(split) ? null : "another result in another split") ??
        (before.every((raw, index) => once.raw[index] === raw) ? null : "what lay before the change is not the same");
      if (problem !== null) expect.fail(`input ${input} of seed ${SEED}: ${problem}: ${shown(bytes)}`);
      if (once.error === null) whole++;
      else errors++;
    }
    expect(Math.min(errors, whole)).toBeGreaterThan(INPUTS / 10);
  },
);

/**
 * Two changes of a length can't be seen: a count that became smaller makes a command of the arguments that are left to it, and the byte behind it is
 * an error; a length that happens to end at the end of another argument makes one argument of all between. Nothing else may come of it.
 */
// Mutation that was seen to fail: a count of arguments that is taken as one less than it says.
test(
  "a length of which one digit changed is an error or waits, or changes the command that it is in, and no other",
  { timeout: LONG_MS },
  () => {
    const random = new Random(SEED);
    let noticed = 0;
    for (let input = 0; input < INPUTS; input++) {
      const commands = Array.from({ length: random.between(1, 5) }, () =>
        encodeCommand(Array.from({ length: random.between(1, 5) }, () => random.word(random.between(0, 30)))),
      );
      const sent = commands.map((command) => command.toString("latin1"));
      const mutated = Buffer.concat(commands);
      const digits = [...mutated.toString("latin1").matchAll(/[$*](\d+)\r\n/g)];
      const { index, 1: number = "" } = random.pick(digits);
      const at = index + 1 + random.between(0, number.length - 1);
      mutated[at] = 48 + ((mutated[at]! - 48 + random.between(1, 9)) % 10);
      const { raw, problem } = frameCommands(mutated, [mutated]);
      const before = sent.filter((_, count) => sent.slice(0, count + 1).join("").length <= at);
      const behind = raw.slice(before.length + 1);
      if (raw.length === before.length) noticed++;
      const isSame =
        raw.slice(0, before.length).join("") === before.join("") &&
        sent.slice(before.length).join("").endsWith(behind.join(""));
      if (problem !== null || !isSame)
        expect.fail(`input ${input} of seed ${SEED}: ${problem ?? "another command changed"}: ${shown(mutated)}`);
    }
    expect(noticed).toBeGreaterThan(INPUTS * 0.8);
  },
);

// Mutation that was seen to fail: the body of an argument searched for a line end.
test("a byte that changed inside an argument changes that argument alone", () => {
  const random = new Random(SEED);
  for (let input = 0; input < 2000; input++) {
    const commands = Array.from({ length: 3 }, () => Array.from({ length: 3 }, () => random.bytes(random.between(1, 20))));
    const which = random.between(0, 8);
    const bytes = Buffer.concat(commands.map((args) => encodeCommand(args)));
    const [command, argument] = [Math.floor(which / 3), which % 3];
    const victim = commands[command]![argument]!;
    victim[random.between(0, victim.length - 1)] = random.between(0, 255);
    const expected = commands.map((args) => encodeCommand(args).toString("latin1"));
    const mutated = Buffer.from(expected.join(""), "latin1");
    expect(mutated.length).toBe(bytes.length);
    expect(frameCommands(mutated, randomChunks(mutated, random))).toEqual({ raw: expected, error: null, problem: null });
  }
});

test("every way to cut a stream in two gives the same commands", () => {
  const random = new Random(SEED);
  for (let input = 0; input < 40; input++) {
    const bytes = Buffer.concat(
      Array.from({ length: 5 }, () => (random.chance(0.2) ? Buffer.from("\n*0\r\n\n") : randomCommand(random))),
    );
    const whole = frameCommands(bytes, [bytes]);
    expect([whole.problem, whole.error]).toEqual([null, null]);
    for (let cut = 0; cut <= bytes.length; cut++)
      expect(frameCommands(bytes, [bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(whole);
  }
});

function randomReply(random: Random, depth = 0): Buffer {
  const draw = random.fraction();
  if (draw < 0.15) return Buffer.from(`+${random.word(random.between(0, 8))}\r\n`);
  if (draw < 0.3) return Buffer.from(`-ERR ${random.word(random.between(0, 8))}\r\n`);
  if (draw < 0.45) return Buffer.from(`:${random.between(-1000, 1000)}\r\n`);
  if (draw < 0.5) return Buffer.from(random.pick(["$-1\r\n", "*-1\r\n", "*0\r\n", ":9223372036854775807\r\n"]));
  if (draw < 0.75 || depth > 3) {
    const bytes = value(random);
    return Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n")]);
  }
  const elements = Array.from({ length: random.between(1, 4) }, () => randomReply(random, depth + 1));
  return Buffer.concat([Buffer.from(`*${elements.length}\r\n`), ...elements]);
}

function encode(reply: Reply): string {
  if (reply === null) return "$-1\r\n";
  if (reply instanceof ReplyError) return `-${reply.message}\r\n`;
  if (Buffer.isBuffer(reply)) return `$${reply.length}\r\n${reply.toString("latin1")}\r\n`;
  if (Array.isArray(reply)) return `*${reply.length}\r\n${reply.map((element) => encode(element)).join("")}`;
  return typeof reply === "string" ? `+${reply}\r\n` : `:${reply}\r\n`;
}

/** Null has two forms. */
function oneNull(text: string): string {
  return text.replaceAll("*-1\r\n", "$-1\r\n");
}

/** As `frameCommands`, for replies. */
function frameReplies(bytes: Buffer, chunks: Iterable<Buffer>): Outcome & { problem: string | null } {
  const framer = new ReplyFramer();
  const raw: string[] = [];
  let pushed = 0;
  try {
    for (const chunk of chunks) {
      framer.push(chunk);
      pushed += chunk.length;
      while (framer.next()) {
        const own = framer.buffer.toString("latin1", framer.start, framer.end);
        raw.push(own);
        const encoded = encode(decodeReply(framer.buffer, framer.start, framer.end));
        // Lines are read as UTF-8: other bytes in them do not come back.
        const isText = Buffer.from(own, "latin1").every((byte) => byte < 128);
        if (isText && oneNull(encoded) !== oneNull(own)) return { raw, error: null, problem: "a reply is not what it says" };
      }
      if (framer.buffer.length > Math.max(IDLE_BYTES, 4 * pushed))
        return { raw, error: null, problem: "the buffer is too large" };
    }
  } catch (cause) {
    if (!(cause instanceof RespError)) return { raw, error: null, problem: `threw ${String(cause)}` };
    return { raw, error: `${cause.position} ${cause.expected}`, problem: null };
  }
  const taken = bytes.toString("latin1", 0, bytes.length - framer.pendingBytes);
  return { raw, error: null, problem: withoutNewlines(taken, raw) ? null : "bytes were passed over" };
}

/** Whether the text is the replies in a row, with nothing but newlines between. */
function withoutNewlines(text: string, raw: readonly string[]): boolean {
  let at = 0;
  for (const reply of raw) {
    while (text[at] === "\n") at++;
    if (!text.startsWith(reply, at)) return false;
    at += reply.length;
  }
  return /^\n*$/.test(text.slice(at));
}

// Mutations that were seen to fail: a bulk string's line end not looked at; the length of an array taken as it is where it is negative.
test(
  `of ${INPUTS} mutated runs of replies, all that is taken is what was sent, in every split, in bounded memory`,
  { timeout: LONG_MS },
  () => {
    const random = new Random(SEED);
    let errors = 0;
    let whole = 0;
    for (let input = 0; input < INPUTS; input++) {
      const replies = Array.from({ length: random.between(1, 5) }, () => randomReply(random));
      const { bytes, from } = mutate(Buffer.concat(replies), random);
      const once = frameReplies(bytes, [bytes]);
      const split = frameReplies(bytes, randomChunks(bytes, random));
      let end = 0;
      const before = replies.filter((reply) => (end += reply.length) <= from).map((reply) => reply.toString("latin1"));
      const problem =
        once.problem ??
        split.problem ??
        (JSON.stringify(once) === JSON.stringify(split) ? null : "another result in another split") ??
        (before.every((raw, index) => once.raw[index] === raw) ? null : "what lay before the change is not the same");
      if (problem !== null) expect.fail(`input ${input} of seed ${SEED}: ${problem}: ${shown(bytes)}`);
      if (once.error === null) whole++;
      else errors++;
    }
    expect(Math.min(errors, whole)).toBeGreaterThan(INPUTS / 10);
  },
);

test("every way to cut replies in two gives the same ones", () => {
  const random = new Random(SEED);
  for (let input = 0; input < 40; input++) {
    const bytes = Buffer.concat(Array.from({ length: 5 }, () => randomReply(random)));
    const whole = frameReplies(bytes, [bytes]);
    expect([whole.problem, whole.error]).toEqual([null, null]);
    for (let cut = 0; cut <= bytes.length; cut++)
      expect(frameReplies(bytes, [bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(whole);
  }
});

test("announced sizes reserve nothing: memory follows what has arrived", () => {
  for (const text of ["*2147483647\r\n", "*178956970\r\n$536870912\r\n", "*1\r\n$536870912\r\nabc"]) {
    const commands = frameCommands(Buffer.from(text), [Buffer.from(text)]);
    expect([text, commands.problem]).toEqual([text, null]);
    const nested = Buffer.from(text.repeat(2));
    expect([text, frameReplies(nested, [nested]).problem]).toEqual([text, null]);
  }
});
