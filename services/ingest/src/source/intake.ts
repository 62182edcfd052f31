import type { Bus, Leases } from "@sluice/bus";
import type { Endpoint } from "@sluice/redis";
import { describeFault, persist, reasonOf, Retryable, type Actor, type Clock, type Fault, type Logger } from "@sluice/runtime";
import { FIRST_COPY, lanesOf, type Pipeline, type RetryRecord, type SlotSet } from "@sluice/wire";
import type { CopyGate } from "../copy-gate.ts";
import { readTails, type StoredTails } from "../lanes/lane-tails.ts";
import { resumePoint, type ResumePoint } from "../lanes/resume-point.ts";
import { ShardReport } from "../shard-report.ts";
import { findAttachment, whyNotFirst } from "./attachment.ts";
import { continuation, type Continuation } from "./continuation.ts";
import type { CopyPermit } from "./copy-permit.ts";
import { askForCopy, type CopyLinks } from "./copy-links.ts";
import type { CopyLimits } from "./copy-throttle.ts";
import { CopyTries } from "./copy-tries.ts";
import { takeCopyTurn } from "./copy-turn.ts";
import { LinkSession } from "./link-session.ts";
import { ReplicaLink, type ReplicationCommands } from "./replica-link.ts";
import { ScriptBodies } from "./script-bodies.ts";
import { checkRole } from "./source-role.ts";
import type { SourceFacts } from "./source-facts.ts";

/** For so long copies come over one link when a source did not go on over a second one: what it wrote at that moment may have been the reason. */
const UNSPLIT_MS = 10 * 60_000;
const NOTHING_COPIED = { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 };

export interface IntakeOptions {
  readonly pipeline: string;
  readonly shard: string;
  /** Into how many lanes the slot space is cut. */
  readonly cut: number;
  /** The slots that the shard owns; changes of others are passed over: their owner sends them. */
  readonly slots: SlotSet;
  /** Only an epoch above this one may be continued. */
  readonly floor: number;
  readonly endpoint: Endpoint;
  /** Where the source has renamed them. */
  readonly commands?: ReplicationCommands | undefined;
  /** Whom `endpoint` is meant to be: a primary that has become a replica is not read as if it were still one. */
  readonly read: "primary" | "replica";
  /** Whether and when a full copy may begin; at any time where absent. */
  readonly gate?: CopyGate;
  /** Full copies that the endpoint's host may send at a time. */
  readonly concurrentFullSyncs: number;
  /** How fast a full copy is read; as fast as it comes where absent. */
  readonly copyLimits?: CopyLimits;
  /** Messages to subscribers are taken, too; not where absent. */
  readonly publishes?: boolean;
  /** What becomes of entries of a copy whose type is not known; halt where absent. */
  readonly unknown?: Pipeline["source"]["unknown"] | undefined;
  readonly instance: string;
  readonly bus: Bus;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A link that is open and has not been asked to replicate yet. */
interface OpenLink {
  readonly link: ReplicaLink;
  readonly facts: SourceFacts;
  /** What it is to be asked to continue; null for a full copy. */
  readonly asked: ResumePoint | null;
  /** For the full copy. */
  readonly permit: CopyPermit | null;
}

/**
 * The intake of one source shard: one replication link at a time, from PSYNC into the shard's lanes.
 *
 * Every run takes a new term, looks at the lanes' tails, fences them, and asks the source for what follows. What is stored in
 * the lanes is all that it builds on: it can be killed at any point and run anywhere else.
 *
 *     lease ▶ tails ▶ term ▶ INFO ▶ fences ─┬─────────────────▶ PSYNC ─┬─ +CONTINUE ───────────────────────────▶ changes
 *                      ▲                    └ copy: permit ▶ INFO ┘    └─ +FULLRESYNC ▶ epoch ▶ fences ▶ copy ▶ changes
 *                      └─ the source's first answer tells whether it can continue the lanes: see `continuation`
 *
 * A pipeline of changes alone begins without a copy: INFO ▶ epoch ▶ fences and empty copies at the source's offset ▶ PSYNC.
 *
 * The bus is waited for without limit at the first fences only, where nothing is held that others wait for: neither the permit,
 * which all pipelines share, nor a link for which the source keeps its stream.
 */
export class SourceIntake implements Actor {
  readonly name: string;
  readonly #options: IntakeOptions;
  readonly #tries = new CopyTries();
  readonly #groupTries = new CopyTries();
  /** Of all links: what one of them brought counts for the next, which goes on where it ended. */
  readonly #scripts = new ScriptBodies();
  /** Until then copies come over one link: the source did not go on behind one on a second link. */
  #unsplitUntilMs = 0;
  #report: ShardReport | null = null;
  #stopping = new AbortController().signal;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.name = `intake ${options.pipeline} ${options.shard}`;
  }

  async run(stopping: AbortSignal, progress: () => void): Promise<void> {
    const { leases, pipeline, shard } = this.#options;
    this.#stopping = stopping;
    await leases.during(`ingest.${pipeline}.${shard}`, stopping, async (signal) => {
      for (let isNext = true; isNext && !signal.aborted;) {
        const over = new AbortController();
        const whileLinked = AbortSignal.any([signal, over.signal]);
        isNext = await this.#follow(whileLinked, progress).finally(() => over.abort());
      }
    });
  }

  retrying(fault: Fault, since: number): void {
    const endpoint = "endpoint" in fault ? String(fault.endpoint) : "sluice";
    this.#tell({ phase: "connecting", retry: { endpoint, since, reason: reasonOf(fault) } });
  }

  halted(fault: Fault): void {
    const { clock, log } = this.#options;
    const halt = { code: fault.code, message: describeFault(fault), remedy: fault.remedy, at: clock.nowMs() };
    const write = async (): Promise<void> => this.#report?.update({ phase: "connecting", halt }, clock.nowMs());
    // Nothing is written after it that would make up for it.
    persist(write, { clock, signal: this.#stopping }).catch((cause: unknown) =>
      log.warn({ cause: describeFault(cause) }, "the record does not say that the shard halted"),
    );
  }

  /** One link. True where another one is to take its place at once. */
  async #follow(signal: AbortSignal, progress: () => void): Promise<boolean> {
    const { bus, clock, pipeline, shard, cut, slots, floor, instance } = this.#options;
    const stream = bus.stream(pipeline);
    await stream.ensure();
    const lanes = lanesOf(slots, cut);
    const tails = await readTails(stream, pipeline, shard, FIRST_COPY, lanes);
    const stored = Math.max(0, ...tails.map(({ live, snap }) => Math.max(live?.term ?? 0, snap?.term ?? 0)));
    const report = await ShardReport.takeTerm(bus.records, pipeline, shard, instance, stored, clock.nowMs());
    this.#report = report;
    const found = resumePoint(tails);
    const point = found !== null && found.epoch > floor ? found : null;
    let permit: CopyPermit | null = null;
    const onCopied = (): void => void permit?.release();
    const session = new LinkSession({
      ...this.#options,
      stream,
      report,
      copy: FIRST_COPY,
      lanes,
      tails,
      signal,
      progress,
      onCopied,
      groupTries: this.#groupTries,
      mayRelink: this.#tries.broken === 0,
      scripts: this.#scripts,
    });
    const isAttached = point === null && this.#options.gate?.isCopyless === true;
    const open = isAttached ? await this.#attach(session, tails, signal) : await this.#open(session, point, signal);
    if (open === null) return false;
    const { link } = open;
    permit = open.permit;
    const close = (): void => link.close();
    signal.addEventListener("abort", close, { once: true });
    try {
      await this.#run(session, open, signal);
      return true;
    } finally {
      signal.removeEventListener("abort", close);
      link.close();
      await permit?.release();
    }
  }

  /**
   * Links to the source and finds out what to ask of it, with the lanes shut for others, and with the permit where it is a full copy.
   * Nothing is held at the source while the permit is waited for. Null when `signal` aborts first.
   */
  async #open(session: LinkSession, point: ResumePoint | null, signal: AbortSignal): Promise<OpenLink | null> {
    const found = await this.#look(point, signal);
    try {
      if (found.asked === null) {
        found.link.close();
        this.#checkTries();
      }
      await session.shutOut(point);
    } catch (cause) {
      found.link.close();
      throw cause;
    }
    if (found.asked !== null) return { ...found, permit: null };
    const permit = await this.#takeTurn(signal);
    if (permit === null) return null;
    try {
      const again = await this.#look(point, signal);
      if (again.asked === null) return { ...again, permit };
      await permit.release();
      return { ...again, permit: null };
    } catch (cause) {
      await permit.release();
      throw cause;
    }
  }

  /**
   * As `#open`, for a pipeline of changes alone whose lanes hold nothing to continue: they begin where the source stands. Throws `Halt`
   * SRC-018 where it can't be attached to, SRC-019 where that would pass over changes.
   */
  async #attach(session: LinkSession, tails: readonly StoredTails[], signal: AbortSignal): Promise<OpenLink> {
    const { shard, endpoint, bus, pipeline, floor, clock, gate } = this.#options;
    const epoch = this.#report?.record.epoch ?? 0;
    const why = await whyNotFirst(bus.records, { pipeline, floor, epoch, tails });
    if (why !== null) gate?.checkLost(shard, why);
    await session.shutOut(null);
    const link = await this.#link(signal);
    try {
      const facts = await link.facts();
      checkRole(facts, this.#options);
      const open = async (): Promise<ReplicaLink> => this.#link(signal);
      const at = await findAttachment(shard, endpoint, facts, clock, signal, open);
      return { link, facts, asked: await session.attach(at), permit: null };
    } catch (cause) {
      link.close();
      throw cause;
    }
  }

  /** Opens a link and judges by what the source says of itself. Throws `Retryable` SRC-003 or SRC-009 where it is not the time to ask. */
  async #look(point: ResumePoint | null, signal: AbortSignal): Promise<Omit<OpenLink, "permit">> {
    const { shard, log } = this.#options;
    const link = await this.#link(signal);
    try {
      const facts = await link.facts();
      checkRole(facts, this.#options);
      const next: Continuation =
        point === null ? { kind: "copy", why: "the lanes hold nothing to continue" } : continuation(point, facts);
      if (next.kind === "wait") throw new Retryable("SRC-003", `source ${shard}`, next.why);
      if (next.kind === "copy") log.info({ shard, why: next.why }, "a full copy is needed");
      if (next.kind === "copy" && point !== null) this.#options.gate?.checkLost(shard, next.why);
      return { link, facts, asked: next.kind === "ask" ? point : null };
    } catch (cause) {
      link.close();
      throw cause;
    }
  }

  async #link(signal: AbortSignal): Promise<ReplicaLink> {
    const { shard, endpoint, commands } = this.#options;
    return ReplicaLink.open(shard, endpoint, signal, commands);
  }

  async #run(session: LinkSession, open: OpenLink, signal: AbortSignal): Promise<void> {
    const { shard, log } = this.#options;
    const { facts, asked } = open;
    const links = await this.#ask(open, signal);
    const { link, reply, copyLink } = links;
    const close = (): void => {
      link.close();
      copyLink?.close();
    };
    signal.addEventListener("abort", close, { once: true });
    try {
      if (reply.kind === "continue" && !isKnownHistory(reply.replid, asked, facts)) {
        throw new Retryable("SRC-003", `source ${shard}`, "the source's history changed between INFO and PSYNC");
      }
      log.info(
        { shard, term: this.#report?.term, asked: asked?.offset ?? "full copy", answer: reply.kind },
        "linked to the source",
      );
      if (reply.kind === "full" && asked !== null) this.#options.gate?.checkLost(shard, "the source answered with a full copy");
      if (reply.kind === "continue") this.#tries.cameThrough();
      await this.#runLinks(session, links, open, signal);
    } finally {
      signal.removeEventListener("abort", close);
      close();
    }
  }

  async #ask({ link, facts, asked }: OpenLink, signal: AbortSignal): Promise<CopyLinks> {
    const { clock } = this.#options;
    if (asked !== null) return { link, reply: await link.psync(asked.replid, asked.offset), copyLink: null };
    const open = async (): Promise<ReplicaLink> => this.#link(signal);
    const nowMs = clock.monotonicMs();
    const onUnsplit = (): void => {
      this.#unsplitUntilMs = clock.monotonicMs() + UNSPLIT_MS;
    };
    const onForked = (why: string): void => this.#tries.ended(null, clock.monotonicMs(), why);
    const maySplit = nowMs >= this.#unsplitUntilMs;
    return askForCopy(link, { ...this.#options, facts, open, signal, maySplit, onUnsplit, onForked });
  }

  async #runLinks(session: LinkSession, links: CopyLinks, { facts, asked }: OpenLink, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    try {
      await session.run(links, facts, asked);
      // Where the source answers the next link with another copy, that one's link is kept.
      this.#tries.ended(session.streamedMs, clock.monotonicMs(), "the link behind a full copy could not be continued");
    } catch (cause) {
      // What this side ends says nothing of whether the source can send a copy.
      const isOurs = signal.aborted || (cause instanceof Retryable && cause.code === "BUS-002");
      if (links.reply.kind === "full" && !isOurs && cause instanceof Retryable)
        this.#tries.ended(session.streamedMs, clock.monotonicMs(), describeFault(cause));
      throw cause;
    }
  }

  #checkTries(): void {
    const { shard, clock } = this.#options;
    const waitMs = this.#tries.waitMs(clock.monotonicMs());
    if (waitMs === 0) return;
    const { broken, why } = this.#tries;
    throw new Retryable(
      "SRC-010",
      `source ${shard}`,
      `${broken} full copies in a row broke off, the last one because: ${why}. The source is left alone for a while before the next one`,
    );
  }

  async #takeTurn(signal: AbortSignal): Promise<CopyPermit | null> {
    // It may wait long for its turn, with nothing wrong: a copy it is all the same, of which nothing has come yet.
    const tell = (retry: RetryRecord | null): void =>
      this.#tell(retry === null ? { phase: "copying", copied: NOTHING_COPIED, retry } : { retry });
    return takeCopyTurn({ ...this.#options, tell }, signal);
  }

  #tell(changes: Parameters<ShardReport["update"]>[0]): void {
    const { clock, log } = this.#options;
    this.#report
      ?.update(changes, clock.nowMs())
      .catch((cause: unknown) => log.debug({ cause: describeFault(cause) }, "report not written"));
  }
}

/** A continuation under another id was judged by what INFO said of that id; under a third one it has not been judged. */
function isKnownHistory(replid: string | null, asked: ResumePoint | null, facts: Pick<SourceFacts, "replid">): boolean {
  return replid === null || replid === asked?.replid || replid === facts.replid;
}
