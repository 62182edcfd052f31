import { expect, test } from "vitest";
import { CommandFramer } from "../resp/command-framer.ts";
import { encodeCommand } from "../resp/encode-command.ts";
import { CommandKind } from "./command-kind.ts";
import { commandTable } from "./command-table.ts";
import { encodeKeyed, withoutKeys } from "./keyed-command.ts";

function framed(bytes: Buffer): CommandFramer {
  const framer = new CommandFramer();
  framer.push(bytes);
  expect(framer.next()).toBe(true);
  return framer;
}

function keysOf(carrier: CommandFramer): string[] | number {
  const out = new Int32Array(4);
  const id = commandTable.idOfCommand(carrier);
  const count = commandTable.keyArgs(id, carrier, out);
  if (count < 0) return count;
  return Array.from(out.subarray(0, count), (at) =>
    carrier.buffer.toString("latin1", carrier.argStart(at), carrier.argEnd(at)),
  );
}

// Mutations seen to fail it, in keyed-command.ts: `keysInside` without IN_FRONT; `withoutKeys` without the 2 behind the argument.
test("a carrier tells the keys of the command inside, whose bytes are its last", () => {
  const raw = encodeCommand(["foo.push", "k1", Buffer.from([0, 255, 13, 10]), "k2"]);
  const carrier = framed(Buffer.concat([encodeKeyed(framed(raw), { args: [1, 3], noScript: false }), Buffer.from("*1\r\n")]));
  expect(keysOf(carrier)).toEqual(["k1", "k2"]);
  const { start, end, argc } = withoutKeys(carrier);
  expect(Buffer.concat([Buffer.from(`*${argc}\r\n`), carrier.buffer.subarray(start, end)])).toEqual(raw);
});

// Mutation seen to fail it: keyed-command.ts, `noScript` the same for both names.
test("a carrier says whether a script may run what is inside", () => {
  const raw = framed(encodeCommand(["FOO", "k"]));
  const flags = [true, false].map((noScript) => {
    const id = commandTable.idOfCommand(framed(encodeKeyed(raw, { args: [1], noScript })));
    return [commandTable.noScript[id], commandTable.kind[id]];
  });
  expect(flags).toEqual([
    [1, CommandKind.forbidden],
    [0, CommandKind.forbidden],
  ]);
});

// Mutation seen to fail it: keyed-command.ts, `keysInside` without the check against argc.
test.each(["0", "3", "1,", ",1", "", "x", "1;2"])("places %s of a command of three arguments are malformed", (places) => {
  expect(keysOf(framed(encodeCommand(["SLUICE.KEYED", places, "FOO", "a", "b"])))).toBe(-1);
});
