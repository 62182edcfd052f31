import { copiesOverTwoLinks } from "@sluice/redis";
import { SLOWEST_COPY_BYTES_PER_SECOND } from "@sluice/wire";
import { pass, warn, type Look } from "../precheck.ts";
import type { WriteRate } from "../probe/source-probe.ts";
import { bytesText, spanText } from "../quantity.ts";
import { eachSourceServer } from "../server-check.ts";
import { isCopied, type CopyLimits } from "../subject.ts";

/** A copy is taken to come at this pace: a modest network and disk. */
const COPY_BYTES_PER_SECOND = 50 * 2 ** 20;

const FIX =
  'On every node: `CONFIG SET client-output-buffer-limit "replica 0 0 0"` for the time of the copy, or copy when less is written (`startWindow`).';

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

/** What clients write while the copy is read at a pace, and whether the source's limit holds it. */
function pileAt(paceBytes: number, limit: OutputBufferLimit, dataBytes: number, bytesPerSecond: number) {
  const copySeconds = dataBytes / paceBytes;
  const bytes = bytesPerSecond * copySeconds;
  const text = `while ${bytesText(dataBytes)} are copied (about ${spanText(copySeconds * 1000)} at ${bytesText(paceBytes)}/s) clients write about ${bytesText(bytes)}`;
  return { text, isTooMuch: bytes > capacityOf(limit, bytesPerSecond) };
}

/** Bytes that may wait in the source; the soft limit may be passed for as long as it says. */
function capacityOf({ hardBytes, softBytes, softSeconds }: OutputBufferLimit, bytesPerSecond: number): number {
  const hard = hardBytes > 0 ? hardBytes : Infinity;
  return Math.min(hard, softBytes > 0 ? softBytes + bytesPerSecond * softSeconds : Infinity);
}

/** `copy`: how the pipeline holds its copies back: the longer they take the more waits. */
export function judgeOutputBuffer(
  limit: OutputBufferLimit,
  dataBytes: number,
  { bytesPerSecond }: WriteRate,
  copy: CopyLimits,
): Look {
  const { hardBytes, softBytes, softSeconds } = limit;
  const paceBytes = Math.min(COPY_BYTES_PER_SECOND, copy.bytesPerSecond ?? Infinity);
  const plain = pileAt(paceBytes, limit, dataBytes, bytesPerSecond);
  const found = `client-output-buffer-limit replica ${hardBytes} ${softBytes} ${softSeconds}; ${plain.text}`;
  // The pace at which no more is written than may wait.
  const leastPace = (bytesPerSecond * dataBytes) / capacityOf(limit, bytesPerSecond);
  if (plain.isTooMuch) {
    const isHeldBack = paceBytes < COPY_BYTES_PER_SECOND && leastPace < COPY_BYTES_PER_SECOND;
    const faster = isHeldBack ? ` Or let it be faster: \`limits.copyBytesPerSecond\` of ${paceText(leastPace)} or more.` : "";
    return warn(found, { code: "SRC-014", fix: `${FIX}${faster}` });
  }
  if (!copy.isBraked) return pass(found);
  const braked = pileAt(Math.min(paceBytes, SLOWEST_COPY_BYTES_PER_SECOND), limit, dataBytes, bytesPerSecond);
  if (!braked.isTooMuch) return pass(found);
  const isSlower = `${found}; but where \`limits.sourceLatency\` slows it down, ${braked.text}`;
  return warn(isSlower, { code: "SRC-014", fix: `${FIX} Or leave \`limits.sourceLatency\` out.` });
}

/** `12MiB`, as a pipeline file has it; never less than what it stands for. */
function paceText(bytesPerSecond: number): string {
  return `${Math.max(1, Math.ceil(bytesPerSecond / 2 ** 20))}MiB`;
}

/** Whether a stream holds what clients write beside a copy: half of what the copy leaves free at most, see `limits.streamBytes`. */
export function hasRoom(
  dataBytes: number,
  { bytesPerSecond }: WriteRate,
  { streamBytes, copyLimits }: { readonly streamBytes: number | null; readonly copyLimits: CopyLimits },
): boolean {
  const paceBytes = Math.min(COPY_BYTES_PER_SECOND, copyLimits.bytesPerSecond ?? Infinity);
  return streamBytes === null || dataBytes + 2 * bytesPerSecond * (dataBytes / paceBytes) <= streamBytes;
}

export const sourceOutputBuffer = eachSourceServer(
  {
    id: "source-output-buffer",
    title: "The source can hold back what is written during a copy",
    why: "From a source before 6.2, and from a replica, a copy and what clients write meanwhile come over one link: that waits in an output buffer of the source. When it is full the source closes the link, and the copy begins anew.",
    expected:
      "a primary from 6.2 on, which sends both over links of their own; or a limit above what is written while the data is copied, or none",
    fix: FIX,
    warns:
      "at the rate of now, more is written during the copy, as slow as `limits` make it, than `client-output-buffer-limit replica` holds",
    fails: null,
    code: "SRC-014",
    applies: ({ subject }) => isCopied(subject),
  },
  async (server, { source, subject }) => {
    const setting = await server.setting("client-output-buffer-limit");
    const limit = parseOutputBufferLimit(setting ?? "");
    if (limit === null) return warn(`${server.name} has no client-output-buffer-limit for replicas`);
    const state = await server.state();
    const rate = await source.writeRate(server);
    if (copiesOverTwoLinks(state) && hasRoom(state.dataBytes, rate, subject))
      return pass(`${setting ?? ""}; what clients write during the copy comes over a link of its own`);
    return judgeOutputBuffer(limit, state.dataBytes, rate, subject.copyLimits);
  },
);
