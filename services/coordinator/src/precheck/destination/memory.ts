import { SlotSet } from "@sluice/wire";
import { fail, pass, warn, type Look, type Precheck, type PrecheckText } from "../precheck.ts";
import type { ServerState } from "../probe/server-state.ts";
import { bytesText } from "../quantity.ts";
import { eachDestination, lookAtAll } from "../server-check.ts";
import { isCopied } from "../subject.ts";

/** The same data takes more on another server: other encodings, fragmentation, marks, and what is written during the copy. */
const FACTOR = 1.2;
const SLOTS = 16_384;

/** `neededBytes`: what this server is to get. `isFilled`: it holds this pipeline's data already, or gets changes alone. */
export function judgeMemory(state: Pick<ServerState, "number">, neededBytes: number, isFilled: boolean): Look {
  const [max, used] = [state.number("maxmemory") ?? 0, state.number("used_memory") ?? 0];
  const total = state.number("total_system_memory") ?? 0;
  const free = Math.max(0, max - used);
  const needs = `about ${bytesText(neededBytes)} will come, and ${bytesText(used)} are in use`;
  if (isFilled) return pass(`${bytesText(used)} are in use; this pipeline's data is among it`);
  if (max === 0) {
    const found = `${needs}; no maxmemory`;
    const isTight = total > 0 && used + neededBytes > total;
    if (!isTight) return pass(found);
    return warn(`${found}, and the machine has ${bytesText(total)}`, {
      expected: "a machine with room for all of it",
      fix: "Give the destination a larger machine or more shards, or copy less (`keys`).",
    });
  }
  const found = `${needs} of maxmemory ${bytesText(max)}`;
  return neededBytes > free ? fail(found, { expected: `${bytesText(neededBytes)} free` }) : pass(found);
}

/** The part of all slots that a server serves, 0 to 1. */
export function shareOf(slots: string): number {
  return SlotSet.parse(slots).size / SLOTS;
}

const text: PrecheckText = {
  id: "destination-memory",
  title: "Every primary of the destinations has memory for its share",
  why: "A destination that is full refuses writes, and the pipeline waits until there is room (DST-003).",
  expected: `maxmemory above what is in use and the server's share of the source's data, times ${FACTOR}`,
  fix: "Raise `maxmemory`, add shards, or copy less (`keys`).",
  warns: "without maxmemory: the machine has less memory than would be needed",
  fails: "what is free below maxmemory is less than the share that will come; can be waived",
  code: "DST-016",
  isWaivable: true,
};

export const destinationMemory: Precheck = {
  ...text,
  run: async (context) => {
    const dataBytes = await context.source.dataBytes();
    return eachDestination(context, text, async (destination) => {
      if (destination.spec.isFiltered || context.subject.databases !== null) {
        return [{ endpoint: destination.name, ...pass("only a part is copied: how much can't be told beforehand") }];
      }
      const isFilled = !isCopied(context.subject) || (await destination.mark()) !== null;
      const isCluster = await destination.isCluster();
      return lookAtAll(destination, await destination.primaries(), text, async (server) => {
        const share = isCluster ? shareOf(server.slots) : 1;
        return judgeMemory(await server.state(), dataBytes * share * FACTOR, isFilled);
      });
    });
  },
};
