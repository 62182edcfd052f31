import { copiesOverTwoLinks } from "@sluice/redis";
import { Retryable, type Clock, type Logger } from "@sluice/runtime";
import type { PsyncReply } from "./psync-reply.ts";
import type { ReplicaLink } from "./replica-link.ts";
import type { SourceFacts } from "./source-facts.ts";

/** A link that waits for another one's answer shows so often that it is there: that takes as long as the source needs to begin its fork. */
const PING_MS = 10_000;

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
  /** They could not. */
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
 * The second link is open before the first is asked: what the backlog must hold until it is continued are one round trip's writes. Where they were more,
 * one link brings both.
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
  log.warn({ shard }, "the source's backlog was too small to bring copy and changes over two links: one brings both");
  const only = await open();
  return closedOnAbort(only, options.signal, async () => {
    // It is told what it has to know of us by what it says of itself.
    await only.facts();
    return { link: only, reply: await only.psync(null, 0), copyLink: null };
  });
}

/** Null where the source could not continue what follows the copy. */
async function askBoth(copyLink: ReplicaLink, { shard, open, clock, signal }: CopyLinksOptions): Promise<CopyLinks | null> {
  const link = await open();
  return closedOnAbort(link, signal, async () => {
    const reply = await whileKept(link, copyLink.psync(null, 0), clock);
    if (reply.kind !== "full")
      throw new Retryable("SRC-001", `source ${shard}`, "the source answered a request for a full copy otherwise");
    const next = await link.psync(reply.replid, reply.offset);
    if (next.kind === "full") {
      link.close();
      return null;
    }
    if (next.replid !== null && next.replid !== reply.replid)
      throw new Retryable("SRC-003", `source ${shard}`, "the source's history changed while it was asked for a full copy");
    return { link, reply, copyLink };
  });
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
