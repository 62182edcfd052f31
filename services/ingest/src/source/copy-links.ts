import { copiesOverTwoLinks } from "@sluice/redis";
import { describeFault, Retryable, type Clock, type Logger } from "@sluice/runtime";
import type { PsyncReply } from "./psync-reply.ts";
import type { ReplicaLink } from "./replica-link.ts";
import type { SourceFacts } from "./source-facts.ts";

/** A link that waits for another one's answer shows so often that it is there: that takes as long as the source needs to begin its fork. */
const PING_MS = 10_000;

/**
 * A source that can go on behind the copy says so at once. One that can't says so only when it begins another copy, and until then its first child waits for
 * somebody who reads.
 */
const CONTINUES_WITHIN_MS = 5_000;

type FullReply = Extract<PsyncReply, { readonly kind: "full" }>;

/** Links that were asked, and what for. */
export interface CopyLinks {
  /** Brings the changes, and the copy before them where there is no other link. */
  readonly link: ReplicaLink;
  /** Of the link that brings the copy. */
  readonly reply: PsyncReply;
  /** Brings the copy alone. */
  readonly copyLink: ReplicaLink | null;
}

export interface CopyLinksOptions {
  readonly shard: string;
  readonly facts: SourceFacts;
  /** Opens another link to the same source. */
  readonly open: () => Promise<ReplicaLink>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Whether two links may bring them. */
  readonly maySplit: boolean;
  /** The source has begun a copy for links of which nothing came. */
  readonly onForked: (why: string) => void;
  /** The source did not go on behind a copy that it had begun. */
  readonly onUnsplit: () => void;
}

/**
 * Asks for a full copy over `link`, and where the source can do so for what follows it over a second one, from the start:
 *
 *     copy link    PSYNC ? -1 (rdb-only) ──▶ +FULLRESYNC id S ▶ RDB
 *     link                                   PSYNC id S+1 ──▶ +CONTINUE ▶ changes
 *
 * So what clients write while the RDB travels goes into the lanes at once. On one link it waits in the source's output buffer, until that is too large for
 * `client-output-buffer-limit replica` and the copy begins anew, for ever where clients write faster than it can be sent.
 *
 * The second link is open before the first is asked: what the backlog must hold until it is continued are one round trip's writes. Where they were more, or
 * the source refuses a second link, another link brings both.
 *
 * Throws `Retryable` SRC-001, SRC-003, `Halt` SRC-002, SRC-017, SRC-021; `link` is the caller's to close, with those that are returned.
 */
export async function askForCopy(link: ReplicaLink, options: CopyLinksOptions): Promise<CopyLinks> {
  const { facts, open, log, shard, maySplit, onUnsplit } = options;
  if (!maySplit || !isSplit(facts) || !(await link.askRdbOnly()))
    return { link, reply: await link.psync(null, 0), copyLink: null };
  const links = await askBoth(link, options);
  if (links !== null) return links;
  link.close();
  onUnsplit();
  log.warn({ shard }, "the source does not go on behind its copy on a second link: one link brings both for now");
  return countedFork(options, async () => {
    const only = await open();
    return closedOnAbort(only, options.signal, async () => {
      // It is told what it has to know of us by what it says of itself.
      await only.facts();
      return { link: only, reply: await only.psync(null, 0), copyLink: null };
    });
  });
}

/** Null where the source does not continue what follows the copy; both links are to be closed then. */
async function askBoth(copyLink: ReplicaLink, options: CopyLinksOptions): Promise<CopyLinks | null> {
  const { shard, open, clock, signal } = options;
  const link = await open();
  return closedOnAbort(link, signal, async () => {
    const reply = await whileKept(link, copyLink.psync(null, 0), clock);
    if (reply.kind !== "full")
      throw new Retryable("SRC-001", `source ${shard}`, "the source answered a request for a full copy otherwise");
    return countedFork(options, async () => {
      const next = await continued(link, reply, clock);
      if (next !== null && (next.replid ?? reply.replid) !== reply.replid)
        throw new Retryable("SRC-003", `source ${shard}`, "the source's history changed while it was asked for a full copy");
      if (next?.kind === "continue") return { link, reply, copyLink };
      link.close();
      return null;
    });
  });
}

/** `work`, for which the source has forked: it has done so in vain where that fails. */
async function countedFork<T>({ signal, onForked }: CopyLinksOptions, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!signal.aborted) onForked(describeFault(cause));
    throw cause;
  }
}

/** What the source answers to the second link; null where it refuses, closes it, or does not answer soon. */
async function continued(link: ReplicaLink, { replid, offset }: FullReply, clock: Clock): Promise<PsyncReply | null> {
  const decided = new AbortController();
  const late = clock.sleep(CONTINUES_WITHIN_MS, decided.signal).then(() => null);
  const answer = await Promise.race([link.psync(replid, offset).catch(() => null), late]);
  decided.abort();
  return answer;
}

function isSplit(facts: SourceFacts): boolean {
  return facts.replid !== "" && copiesOverTwoLinks({ ...facts, isPrimary: facts.role === "master" });
}

/** The link is closed where `work` fails, and when `signal` aborts before it is done. */
async function closedOnAbort<T>(link: ReplicaLink, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const close = (): void => link.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    return await work();
  } catch (cause) {
    link.close();
    throw cause;
  } finally {
    signal.removeEventListener("abort", close);
  }
}

/** `answer`, while `waiting` shows now and then that it is there. */
async function whileKept<T>(waiting: ReplicaLink, answer: Promise<T>, clock: Clock): Promise<T> {
  const over = new AbortController();
  const showing = async (): Promise<void> => {
    for (await clock.sleep(PING_MS, over.signal); !over.signal.aborted; await clock.sleep(PING_MS, over.signal))
      await waiting.text(["PING"]);
  };
  // Whose link broke learns it when it is asked.
  const shown = showing().catch(() => undefined);
  try {
    return await answer;
  } finally {
    over.abort();
    await shown;
  }
}
