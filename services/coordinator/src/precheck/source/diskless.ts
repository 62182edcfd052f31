import { pass, warn, type Look } from "../precheck.ts";
import { bytesText } from "../quantity.ts";
import { eachSourceServer } from "../server-check.ts";
import { isCopied } from "../subject.ts";

const MUCH_BYTES = 2 ** 30;
const LONG_DELAY_SECONDS = 60;

function judgeDiskless(isDiskless: boolean, delaySeconds: number, dataBytes: number): Look {
  const found = `repl-diskless-sync ${isDiskless ? "yes" : "no"}, repl-diskless-sync-delay ${delaySeconds}, ${bytesText(dataBytes)} of data`;
  if (isDiskless && delaySeconds > LONG_DELAY_SECONDS) {
    return warn(`${found}: every copy begins so late`, {
      expected: `a delay of at most ${LONG_DELAY_SECONDS} s`,
      fix: "`CONFIG SET repl-diskless-sync-delay 5` on every node.",
    });
  }
  return !isDiskless && dataBytes >= MUCH_BYTES ? warn(`${found}: the RDB is written to the source's disk first`) : pass(found);
}

export const sourceDiskless = eachSourceServer(
  {
    id: "source-diskless",
    title: "The source sends a copy without writing it to its disk, and soon",
    why: "Without repl-diskless-sync the source writes each RDB to its disk before it sends it: that needs room there, and takes longer.",
    expected: "repl-diskless-sync yes where there is much data",
    fix: "`CONFIG SET repl-diskless-sync yes` on every node; or see that its disk has room for an RDB.",
    warns: `repl-diskless-sync is off with ${bytesText(MUCH_BYTES)} of data or more, or repl-diskless-sync-delay is above ${LONG_DELAY_SECONDS} s`,
    fails: null,
    code: "SRC-010",
    applies: ({ subject }) => isCopied(subject),
  },
  async (server) => {
    const isDiskless = (await server.setting("repl-diskless-sync")) === "yes";
    const delay = Number((await server.setting("repl-diskless-sync-delay")) ?? 0);
    return judgeDiskless(isDiskless, delay, (await server.state()).dataBytes);
  },
);
