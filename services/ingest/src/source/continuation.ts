import type { ResumePoint } from "../lanes/resume-point.ts";
import type { SourceFacts } from "./source-facts.ts";

/** `ask`: for what follows the point. `copy`: a full copy it must be. `wait`: the source does not have yet what the lanes hold. */
export type Continuation =
  | { readonly kind: "ask" }
  | { readonly kind: "copy"; readonly why: string }
  | { readonly kind: "wait"; readonly why: string };

const ASK: Continuation = { kind: "ask" };

/**
 * Whether a source can continue what the lanes hold, by what it says of itself; PSYNC has the last word on whether it does.
 *
 * Offsets are positions in a history, and a promoted replica begins a new one: it shares the former up to `secondReplOffset`.
 *
 *     former primary   ───────────────────────┬──── l2: writes that the promoted replica never got
 *     promoted replica ─────── l1 ────────────┴──── other writes at the same offsets
 *                                    secondReplOffset
 *
 * PSYNC looks at the lowest lane only (l1), and would continue it. But the lane that is ahead (l2) would then pass over the new
 * history's writes up to its own offset, and keep writes that no source has any more. So the *highest* lane decides; where it lies
 * beyond, everything is copied anew, under a new epoch (H24, H37). A source that reads as before 4.0 says nothing of histories: it is asked,
 * and knows only its own run.
 *
 * What will be refused is known before it is asked, so that a full copy begins only when it may: see `CopyPermit`.
 */
export function continuation(point: ResumePoint, facts: SourceFacts): Continuation {
  if (facts.replid === "") return ASK;
  const { backlog } = facts;
  if (facts.replid === point.replid) {
    // The same history, and its source has less of it: a replica that is behind the one which was read before.
    if (facts.role === "slave" && backlog !== null && point.offset > backlog.last) {
      return { kind: "wait", why: `it has the stream up to ${backlog.last}, and the lanes hold it up to ${point.offset}` };
    }
    return inBacklog(point, facts);
  }
  if (facts.formerReplid !== point.replid) return { kind: "copy", why: "the source knows nothing of the history in the lanes" };
  if (point.highest >= facts.secondReplOffset) {
    return {
      kind: "copy",
      why: `a lane holds writes up to ${point.highest}, and the source's own history begins at ${facts.secondReplOffset}`,
    };
  }
  return inBacklog(point, facts);
}

/** Accepted is what follows the backlog's bytes or begins among them (replication.c, `masterTryPartialResync`). */
function inBacklog(point: ResumePoint, { backlog }: SourceFacts): Continuation {
  if (backlog === null) return { kind: "copy", why: "the source keeps no backlog" };
  const next = point.offset + 1;
  if (next >= backlog.first && next <= backlog.last + 1) return ASK;
  return { kind: "copy", why: `the source's backlog holds ${backlog.first} to ${backlog.last}, and ${next} is to follow` };
}
