import type { Assignment } from "./assign.ts";

/** One piece of work that changes hands; `from` or `to` is null where it had or has nobody. */
export interface Move {
  readonly work: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly why: string;
}

/** Who is known to live, to say why work left them. */
export interface Reasons {
  readonly isWanted: (work: string) => boolean;
  readonly isLive: (instance: string) => boolean;
  /** Ms since an instance was last heard; null when it never was or has said goodbye. */
  readonly silentMs: (instance: string) => number | null;
}

/** What differs between two assignments, with the reason of each difference, in the order of the work's names. */
export function movesBetween(before: Assignment, after: Assignment, reasons: Reasons): Move[] {
  const moves: Move[] = [];
  for (const work of [...new Set([...before.keys(), ...after.keys()])].toSorted()) {
    const from = before.get(work) ?? null;
    const to = after.get(work) ?? null;
    if (from !== to) moves.push({ work, from, to, why: whyOf(work, from, reasons) });
  }
  return moves;
}

function whyOf(work: string, from: string | null, { isWanted, isLive, silentMs }: Reasons): string {
  if (!isWanted(work)) return "no longer wanted";
  if (from === null) return "had nobody";
  if (isLive(from)) return "balance";
  const silent = silentMs(from);
  return silent === null ? "the instance is gone" : `the instance was not heard for ${Math.round(silent)} ms`;
}
