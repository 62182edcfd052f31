import { isDeepStrictEqual } from "node:util";
import type { LaneStream } from "@sluice/bus";
import { describeFault, Fault, Retryable, type Code } from "@sluice/runtime";
import {
  recordKey,
  snapSubject,
  specRecord,
  voidCopiesRecord,
  type Addition,
  type GroupCopy,
  type ShardRecord,
  type VoidCopiesRecord,
} from "@sluice/wire";
import type { LaneHead } from "../lanes/lane-batch.ts";
import { removeNumberedCopy } from "../lanes/void-copies.ts";
import { TermLost, type ShardReport } from "../shard-report.ts";
import { isWholeCopy } from "./dead-copies.ts";
import { planCopies, type CopyPlan, type WantedGroups } from "./copy-plan.ts";
import type { CopyTries } from "./copy-tries.ts";
import { takeCopyTurn } from "./copy-turn.ts";
import { GroupCopyLink } from "./group-copy-link.ts";
import type { IntakeOptions } from "./intake.ts";

/** So often it is looked whether groups were added, or taken away. */
const LOOK_MS = 1_000;
/** Numbers of copies under which something stands in the stream although no record tells of it. */
const MOST_UNTOLD = 1_000;
const NOTHING_COPIED = { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 };

export interface GroupCopiesOptions extends IntakeOptions {
  readonly stream: LaneStream;
  readonly report: ShardReport;
  /** The shard's lanes, in ascending order. */
  readonly lanes: readonly number[];
  /** Of the changes that are stored. */
  readonly head: LaneHead;
  /** Of such copies of the shard, beyond this link. */
  readonly tries: CopyTries;
}

/**
 * The copies of one shard for groups that are added while its changes flow: each over a link of its own, in its turn as every full copy,
 * while the first link goes on.
 *
 *     spec: a group that no copy serves ▶ waiting ▶ copying ▶ stored          S, where its lanes go on, lies in the changes that are stored
 *                                            └──────────┴──▶ void ▶ removed   broken off, of another epoch, refused, of no group any more
 *
 * Which copy serves whom stands in the shard's record, where writers and whoever trims read it (`servedCopy`). An attempt that broke off is
 * followed by another copy with another number: writers tell by it that what they hold of the former is void. Nothing of it ever makes
 * the first link end.
 */
export class GroupCopies {
  readonly #options: GroupCopiesOptions;
  /** When the newest copy was stored to its end; null while it is not. */
  #storedAtMs: number | null = null;
  /** Numbers of void copies that nothing is left of. */
  readonly #removed = new Set<number>();
  #looked = "";

  constructor(options: GroupCopiesOptions) {
    this.#options = options;
  }

  /** Looks after them until `signal` aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    while (!signal.aborted) {
      try {
        await this.#look(signal);
      } catch (cause) {
        if (cause instanceof TermLost) return;
        if (!signal.aborted) this.#logOnce(log, describeFault(cause));
      }
      await clock.sleep(LOOK_MS, signal);
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { report, clock, tries } = this.#options;
    const groups = await this.#addedGroups();
    const shard = report.record;
    if (groups.size === 0 && (shard.copies ?? []).length === 0) return;
    const voids = await this.#voids();
    const plan = planCopies(await this.#proven(shard), groups, voids);
    const isWanted = Object.keys(plan.wanted).length > 0;
    const nowMs = clock.monotonicMs();
    if (this.#storedAtMs !== null && isWanted && plan.copies.at(-1)?.phase === "void") {
      tries.ended(nowMs - this.#storedAtMs, nowMs, "a writer could not use it");
      this.#storedAtMs = null;
    }
    const isSpaced = isWanted && tries.waitMs(nowMs) > 0;
    await this.#keep(isSpaced ? this.#explained(plan.copies) : plan.copies);
    await this.#removeVoid(isWanted);
    if (isWanted && !isSpaced) await this.#copyFor(plan, signal);
  }

  /** The newest says why it is void, where nobody could say so when it broke off: the next one is not made for a while. */
  #explained(copies: readonly GroupCopy[]): readonly GroupCopy[] {
    const { shard, clock, tries } = this.#options;
    const newest = copies.at(-1);
    if (newest?.phase !== "void" || newest.retry !== null) return copies;
    const retry = { endpoint: `source ${shard}`, since: clock.nowMs(), reason: tries.why, isTurn: true };
    return [...copies.slice(0, -1), { ...newest, retry }];
  }

  /** A copy that broke off with its ingest is whole where every lane's end is stored: only the record could not say so any more. */
  async #proven(shard: ShardRecord): Promise<ShardRecord> {
    const copies: GroupCopy[] = [];
    for (const one of shard.copies ?? []) {
      const isWhole = one.phase === "copying" && one.epoch === shard.epoch && (await isWholeCopy(one, this.#options));
      copies.push(isWhole ? { ...one, phase: "stored" } : one);
    }
    return { ...shard, copies };
  }

  async #copyFor(plan: CopyPlan, signal: AbortSignal): Promise<void> {
    const { clock, log, head, shard, tries } = this.#options;
    const copy = await this.#freeNumber(plan.above);
    const ending = new AbortController();
    const over = AbortSignal.any([signal, ending.signal]);
    const state = { groups: plan.wanted, epoch: head.epoch, copy, offset: 0, replid: "", copied: NOTHING_COPIED, retry: null };
    let entry: GroupCopy = { ...state, phase: "waiting" };
    // What became of the attempt before is told until the next one begins.
    const others = plan.copies.filter((one) => one.phase !== "void" || !this.#removed.has(one.copy));
    const tell = async (changes: Partial<GroupCopy>): Promise<void> => {
      entry = { ...entry, ...changes };
      await this.#keep([...others, entry], copy);
    };
    await tell({});
    const watching = this.#watch(entry, ending, over);
    try {
      await this.#store(copy, tell, over);
    } catch (cause) {
      if (cause instanceof TermLost) throw cause;
      if (over.aborted) return;
      const reason = describeFault(cause);
      log.warn({ code: codeOf(cause), copy }, `a copy for groups that were added broke off, and is made again: ${reason}`);
      tries.ended(null, clock.monotonicMs(), reason);
      const retry = { endpoint: `source ${shard}`, since: clock.nowMs(), reason, isTurn: true };
      await tell({ phase: "void", retry });
    } finally {
      // The source has forked for it all the same.
      if (signal.aborted && entry.phase === "copying")
        tries.ended(null, clock.monotonicMs(), "the link beside which it was made ended");
      ending.abort();
      await watching;
    }
  }

  async #store(copy: number, tell: (changes: Partial<GroupCopy>) => Promise<void>, over: AbortSignal): Promise<void> {
    const { head, log, clock } = this.#options;
    this.#storedAtMs = null;
    const asking = (retry: GroupCopy["retry"]): void => void tell({ retry }).catch(() => undefined);
    const permit = await takeCopyTurn({ ...this.#options, as: "groups", tell: asking }, over);
    if (permit === null) return;
    const telling = new AbortController();
    const link: GroupCopyLink = new GroupCopyLink({
      ...this.#options,
      copy,
      begun: async (offset) => tell({ phase: "copying", offset, replid: head.replid, copied: link.copied, retry: null }),
      received: () => void permit.release(),
    });
    const progress = this.#tellProgress(link, tell, AbortSignal.any([over, telling.signal]));
    try {
      await link.run(over);
      telling.abort();
      await progress;
      if (over.aborted) return;
      await tell({ phase: "stored", copied: link.copied });
      this.#storedAtMs = clock.monotonicMs();
      log.info({ epoch: head.epoch, copy, keys: link.copied.keys }, "the copy for groups that were added is stored");
    } finally {
      telling.abort();
      await progress;
      await permit.release();
    }
  }

  async #tellProgress(
    link: GroupCopyLink,
    tell: (changes: Partial<GroupCopy>) => Promise<void>,
    over: AbortSignal,
  ): Promise<void> {
    const { clock } = this.#options;
    for (;;) {
      await clock.sleep(LOOK_MS, over);
      if (over.aborted) return;
      if (link.copied.bytes > 0) await tell({ copied: link.copied }).catch(() => undefined);
    }
  }

  /** Ends the copy when no group is left that it is for. */
  async #watch(entry: GroupCopy, ending: AbortController, over: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!over.aborted) {
      await clock.sleep(LOOK_MS, over);
      if (over.aborted) return;
      const groups = await this.#addedGroups().catch(() => null);
      const isWanted =
        groups === null || Object.entries(entry.groups).some(([name, number]) => groups.get(name)?.number === number);
      if (!isWanted) ending.abort();
    }
  }

  /** Writes what differs from what the record says. */
  async #keep(copies: readonly GroupCopy[], lastCopy?: number): Promise<void> {
    const { report, clock } = this.#options;
    if (isDeepStrictEqual(copies, report.record.copies ?? [])) return;
    await report.update({ copies: [...copies], ...(lastCopy === undefined ? {} : { lastCopy }) }, clock.nowMs());
  }

  /** Removes what is left of void copies from the stream, and then from the record; what the newest one broke off for is kept there. */
  async #removeVoid(isWanted: boolean): Promise<void> {
    const { report, log } = this.#options;
    const known = report.record.copies ?? [];
    for (const { copy } of known.filter(({ phase }) => phase === "void")) {
      if (this.#removed.has(copy)) continue;
      const removed = await removeNumberedCopy({ ...this.#options, copy });
      this.#removed.add(copy);
      log.info({ copy, removed }, "a copy is void; its messages are removed");
    }
    const kept = known.filter(
      (one) => !this.#removed.has(one.copy) || (isWanted && one.retry !== null && one === known.at(-1)),
    );
    await this.#keep(kept);
  }

  /** A number above `above` under which nothing stands in the stream: records may be lost that told of it. */
  async #freeNumber(above: number): Promise<number> {
    const { stream, pipeline, shard, lanes } = this.#options;
    for (let copy = above + 1; copy <= above + MOST_UNTOLD; copy++) {
      const tails = await Promise.all(lanes.map(async (lane) => stream.tail(snapSubject(pipeline, copy, shard, lane))));
      if (tails.every((tail) => tail === null)) return copy;
    }
    throw new Retryable(
      "BUS-003",
      "bus",
      `copies ${above + 1} to ${above + MOST_UNTOLD} of shard ${shard} stand in the stream, and no record tells of them`,
    );
  }

  async #addedGroups(): Promise<WantedGroups> {
    return addedGroups(this.#options);
  }

  async #voids(): Promise<VoidCopiesRecord["groups"]> {
    const { bus, pipeline, shard } = this.#options;
    return (await bus.records.get(recordKey.voidCopies(pipeline, shard), voidCopiesRecord))?.value.groups ?? {};
  }

  #logOnce(log: GroupCopiesOptions["log"], reason: string): void {
    if (reason !== this.#looked) log.warn(`no look at groups that were added: ${reason}`);
    this.#looked = reason;
  }
}

function codeOf(cause: unknown): Code {
  return cause instanceof Fault ? cause.code : "SLU-001";
}

/** Groups of the pipeline that were added since its first start, by its spec. */
async function addedGroups({ bus, pipeline }: Pick<IntakeOptions, "bus" | "pipeline">): Promise<WantedGroups> {
  const spec = (await bus.records.get(recordKey.spec(pipeline), specRecord))?.value;
  const found = new Map<string, Addition>();
  for (const { group } of spec?.pipeline.destinations ?? []) {
    const added = spec?.additions?.[group];
    if (added !== undefined) found.set(group, added);
  }
  return found;
}

/** Number of the newest addition that there was, by the spec. */
export async function lastAddition({ bus, pipeline }: Pick<IntakeOptions, "bus" | "pipeline">): Promise<number> {
  return (await bus.records.get(recordKey.spec(pipeline), specRecord))?.value.lastAddition ?? 0;
}
