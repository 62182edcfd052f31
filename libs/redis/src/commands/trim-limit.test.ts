import { expect, test } from "vitest";
import { CommandFramer } from "../resp/command-framer.ts";
import { encodeCommand } from "../resp/encode-command.ts";
import { commandTable } from "./command-table.ts";
import { withoutTrimLimit } from "./trim-limit.ts";

function rewritten(text: string): string | null {
  const framer = new CommandFramer();
  framer.push(encodeCommand(["PING"]));
  framer.push(encodeCommand(text.split(" ")));
  framer.next();
  framer.next();
  return withoutTrimLimit(commandTable.idOfCommand(framer), framer)?.toString("latin1") ?? null;
}

test.each([
  ["XTRIM s MAXLEN = 0 LIMIT 10", "XTRIM s MAXLEN = 0"],
  ["xtrim s limit 10 minid = 1-1", "xtrim s minid = 1-1"],
  ["XTRIM s MAXLEN 5 LIMIT 10 ACKED", "XTRIM s MAXLEN 5 ACKED"],
  ["XADD s NOMKSTREAM MAXLEN = 5 LIMIT 10 1-1 f v", "XADD s NOMKSTREAM MAXLEN = 5 1-1 f v"],
  ["XADD s KEEPREF MINID = 5 LIMIT 10 1-1 LIMIT 10", "XADD s KEEPREF MINID = 5 1-1 LIMIT 10"],
])("%s", (text, expected) => {
  expect(rewritten(text)).toBe(encodeCommand(expected.split(" ")).toString("latin1"));
});

// Mutation that was seen to fail: options of XADD that are looked for behind the id.
test.each([
  "XTRIM s MAXLEN ~ 5 LIMIT 10",
  "XTRIM s MAXLEN = 5",
  "XADD s MAXLEN = 5 1-1 LIMIT 10",
  "XADD s 1-1 MAXLEN LIMIT",
  "SET LIMIT 10",
  "XTRIM s",
])("%s stays", (text) => {
  expect(rewritten(text)).toBeNull();
});
