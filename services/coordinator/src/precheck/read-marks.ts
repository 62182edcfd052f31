import { slotTag } from "@sluice/redis";
import { describeFault } from "@sluice/runtime";
import { laneMarkKey, MarkError, parseMark, type Position } from "@sluice/wire";

/** Whose marks a destination is asked for. */
export interface MarkOwner {
  readonly name: string;
  readonly group: string;
  /** Lanes that the slot space may be cut into. */
  readonly lanes: number;
}

/** Shards whose marks are looked for in a standalone destination: the records that would name them may be lost. */
const SHARDS = 32;

/** Where the marks stand of every lane that may ever have existed, in a destination that is one server; all with the tag of slot 0. */
export function laneMarkKeys({ name, group, lanes }: MarkOwner): string[] {
  const tag = slotTag(0);
  const keys: string[] = [];
  for (let shard = 0; shard < SHARDS; shard++) {
    for (let lane = 0; lane < lanes; lane++) keys.push(laneMarkKey(tag, name, group, `s${shard}`, lane));
  }
  return keys;
}

/** Highest number of a copy that these marks speak of, of whichever epoch; what is no mark is passed over. */
export function highestCopyIn(texts: readonly string[]): number {
  return texts.reduce((highest, text) => {
    const mark = highestMark([text]);
    return mark === null || typeof mark === "string" ? highest : Math.max(highest, mark.copy);
  }, 0);
}

/** The mark of the highest epoch; what is wrong with the first that is none; null without marks. */
export function highestMark(texts: readonly string[]): Position | string | null {
  let highest: Position | null = null;
  for (const text of texts) {
    try {
      const mark = parseMark(text);
      if (highest === null || mark.epoch > highest.epoch) highest = mark;
    } catch (cause) {
      if (cause instanceof MarkError) return describeFault(cause);
      throw cause;
    }
  }
  return highest;
}
