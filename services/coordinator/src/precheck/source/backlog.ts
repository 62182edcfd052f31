import { pass, warn, type Look } from "../precheck.ts";
import type { WriteRate } from "../probe/source-probe.ts";
import { bytesText, spanText } from "../quantity.ts";
import { eachSourceServer } from "../server-check.ts";

/** How long an ingest that was killed, or a link that broke, may take until it goes on. */
const RESTART_MS = 60_000;

/** `rate` in bytes a second. */
function judgeBacklog(backlogBytes: number, { bytesPerSecond, isUpperBound }: WriteRate, retryWindowMs: number): Look {
  const lastsMs = bytesPerSecond === 0 ? Infinity : (backlogBytes / bytesPerSecond) * 1000;
  const rate = `${isUpperBound ? "at most " : ""}${bytesText(bytesPerSecond)}/s written`;
  const lasts = lastsMs === Infinity ? "nothing is written now" : `${rate}: it lasts ${spanText(lastsMs)}`;
  const found = `repl-backlog-size ${bytesText(backlogBytes)}; ${lasts}`;
  const forRestart = bytesPerSecond * (RESTART_MS / 1000);
  if (backlogBytes >= forRestart) return pass(found);
  const fix = `\`CONFIG SET repl-backlog-size ${roundUp(forRestart)}\` on every node covers a restart of Sluice; ${roundUp(
    bytesPerSecond * (retryWindowMs / 1000),
  )} would cover the whole retry window of ${spanText(retryWindowMs)}.`;
  return warn(found, { expected: `at least ${bytesText(forRestart)}: what is written in ${spanText(RESTART_MS)}`, fix });
}

/** `64mb` */
function roundUp(sizeBytes: number): string {
  return `${Math.max(1, Math.ceil(sizeBytes / 2 ** 20))}mb`;
}

export const sourceBacklog = eachSourceServer(
  {
    id: "source-backlog",
    title: "The source's backlog outlasts a restart of Sluice",
    why: "A link that breaks goes on where it was only while the source's backlog still holds what is missing. Else the shard is copied anew.",
    expected: "a backlog that holds what is written in a minute",
    fix: "`CONFIG SET repl-backlog-size 256mb` on every node, and in its redis.conf.",
    warns: "what is written in a minute, at the rate of now, does not fit into repl-backlog-size",
    fails: null,
    code: "SRC-001",
  },
  async (server, { source, subject }) => {
    const size = (await server.state()).number("repl_backlog_size");
    if (size === null) return warn(`${server.name} does not say its repl_backlog_size`);
    return judgeBacklog(size, await source.writeRate(server), subject.retryWindowMs);
  },
);
