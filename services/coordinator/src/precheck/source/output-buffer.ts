import { pass, warn, type Look } from "../precheck.ts";
import type { WriteRate } from "../probe/source-probe.ts";
import { bytesText, spanText } from "../quantity.ts";
import { eachSourceServer } from "../server-check.ts";

/** A copy is taken to come at this pace: a modest network and disk. */
const COPY_BYTES_PER_SECOND = 50 * 2 ** 20;

/** `client-output-buffer-limit`, the part for replicas: bytes, bytes, seconds; 0 is no limit. */
export interface OutputBufferLimit {
  readonly hardBytes: number;
  readonly softBytes: number;
  readonly softSeconds: number;
}

/** Reads `normal 0 0 0 slave 268435456 67108864 60 pubsub …`; null where there is no part for replicas. */
export function parseOutputBufferLimit(text: string): OutputBufferLimit | null {
  const found = /(?:^|\s)(?:slave|replica) (\d+) (\d+) (\d+)/.exec(text);
  return found === null ? null : { hardBytes: Number(found[1]), softBytes: Number(found[2]), softSeconds: Number(found[3]) };
}

export function judgeOutputBuffer(limit: OutputBufferLimit, dataBytes: number, { bytesPerSecond }: WriteRate): Look {
  const { hardBytes, softBytes, softSeconds } = limit;
  const copySeconds = dataBytes / COPY_BYTES_PER_SECOND;
  const piles = bytesPerSecond * copySeconds;
  const text = `client-output-buffer-limit replica ${hardBytes} ${softBytes} ${softSeconds}`;
  const found = `${text}; while ${bytesText(dataBytes)} are copied (about ${spanText(copySeconds * 1000)}) clients write about ${bytesText(piles)}`;
  const isCutHard = hardBytes > 0 && piles > hardBytes;
  const isCutSoft = softBytes > 0 && piles > softBytes + bytesPerSecond * softSeconds;
  return isCutHard || isCutSoft ? warn(found, { code: "SRC-014" }) : pass(found);
}

export const sourceOutputBuffer = eachSourceServer(
  {
    id: "source-output-buffer",
    title: "The source can hold back what is written during a copy",
    why: "What clients write while the RDB is sent waits in an output buffer of the source. When that is full the source closes the link, and the copy begins anew.",
    expected: "a limit above what is written while the data is copied, or none",
    fix: 'On every node: `CONFIG SET client-output-buffer-limit "replica 0 0 0"` for the time of the copy, or copy when less is written.',
    warns: "at the rate of now, more is written during the copy than `client-output-buffer-limit replica` holds",
    fails: null,
    code: "SRC-014",
  },
  async (server, { source }) => {
    const setting = await server.setting("client-output-buffer-limit");
    const limit = parseOutputBufferLimit(setting ?? "");
    if (limit === null) return warn(`${server.name} has no client-output-buffer-limit for replicas`);
    const state = await server.state();
    return judgeOutputBuffer(limit, state.dataBytes, await source.writeRate(server));
  },
);
