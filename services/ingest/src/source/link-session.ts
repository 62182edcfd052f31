import type { LaneStream } from "@sluice/bus";
import { Retryable, type Logger } from "@sluice/runtime";
import { BacklogBound } from "../lanes/backlog-bound.ts";
import type { LaneHead } from "../lanes/lane-batch.ts";
import type { FeedOptions } from "../lanes/lane-feed.ts";
import { LaneFences, type FencedHistory } from "../lanes/lane-fences.ts";
import type { StoredTails } from "../lanes/lane-tails.ts";
import type { ResumePoint } from "../lanes/resume-point.ts";
import { removeVoidChanges, removeVoidCopies } from "../lanes/void-copies.ts";
import { beginEpoch } from "../epoch.ts";
import { TermLost, type ShardReport } from "../shard-report.ts";
import type { Attachment } from "./attachment.ts";
import { BusWait } from "./bus-wait.ts";
import type { CopyLinks } from "./copy-links.ts";
import { CopyRoom } from "./copy-room.ts";
import type { CopyTries } from "./copy-tries.ts";
import { removeDeadCopies, withoutDeadCopies } from "./dead-copies.ts";
import { EpochCopy } from "./epoch-copy.ts";
import { GroupCopies, lastAddition } from "./group-copies.ts";
import type { IntakeOptions } from "./intake.ts";
import { LaneChanges } from "./lane-changes.ts";
import { becomesContinuable } from "./pose-end.ts";
import type { ReplicaLink } from "./replica-link.ts";
import type { ScriptBodies } from "./script-bodies.ts";
import type { SourceFacts } from "./source-facts.ts";
import { streamFault } from "./stream-fault.ts";

/** The source hears of us, and the shard's record is written, so often. */
const REPORT_MS = 1_000;
/**
 * With the backlog full, or a fence to be set, and nothing stored for so long the link is given up: a source that is not read keeps all that it writes for us in
 * its memory, up to `client-output-buffer-limit replica`. Its own backlog, which has a bound, is where the stream waits instead.
 */
const BUS_PATIENCE_MS = 10_000;

export interface LinkSessionOptions extends IntakeOptions {
  readonly stream: LaneStream;
  readonly report: ShardReport;
  readonly copy: number;
  /** The shard's lanes, in ascending order, and the tail of each. */
  readonly lanes: readonly number[];
  readonly tails: readonly StoredTails[];
  readonly signal: AbortSignal;
  readonly progress: () => void;
  /** The RDB of a full copy is received and verified. */
  readonly onCopied: () => void;
  /** Of the copies for groups that are added while changes flow. */
  readonly groupTries: CopyTries;
  readonly scripts: ScriptBodies;
  /** A link that should not outlive its copy is made anew behind it. */
  readonly mayRelink: boolean;
}

/** One link's life behind PSYNC: fences, the full copy where there is one, then the changes until the link breaks or `signal` aborts. */
export class LinkSession {
  readonly #options: LinkSessionOptions;
  readonly #backlog = new BacklogBound();
  readonly #log: Logger;
  readonly #feedOptions: FeedOptions;
  readonly #fences: LaneFences;
  #changes: LaneChanges | null = null;
  /** The one that the link began with; null where it continues. */
  #copy: EpochCopy | null = null;
  #copyLink: ReplicaLink | null = null;
  /** For changes that come beside the copy. */
  #room: CopyRoom | null = null;
  #copiedAtMs: number | null = null;
  #endsPose = false;
  #isPoseOver = false;
  #failure: unknown = null;
  readonly #busWait: BusWait;
  #link: ReplicaLink | null = null;
  #removing: Promise<void> | null = null;
  #joining: Promise<void> | null = null;
  readonly #over = new AbortController();
  readonly #whileOpen: AbortSignal;
  #bytes = 0;

  constructor(options: LinkSessionOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#whileOpen = AbortSignal.any([options.signal, this.#over.signal]);
    this.#busWait = new BusWait(options.clock, options.log);
    this.#feedOptions = {
      log: options.stream,
      pipeline: options.pipeline,
      shard: options.shard,
      copy: options.copy,
      maxBatchBytes: options.bus.maxBatchBytes,
      backlog: this.#backlog,
      clock: options.clock,
      signal: options.signal,
      onStored: () => undefined,
      onFailed: (fault) => this.#fail(fault),
      onWaiting: (fault) => this.#waitForBus(fault),
    };
    const { lanes, tails, report } = options;
    this.#fences = new LaneFences({ feed: this.#feedOptions, lanes, tails, term: report.term });
  }

  /** How long the full copy that this link began with has been complete; null while it is not, and where there is none. */
  get streamedMs(): number | null {
    return this.#copiedAtMs === null ? null : this.#options.clock.monotonicMs() - this.#copiedAtMs;
  }

  /**
   * Shuts out whoever published to the lanes before this term, before the source is asked for anything. As long as the bus takes
   * nothing this does not return: no copy begins that could not be stored.
   */
  async shutOut(point: ResumePoint | null): Promise<void> {
    const { report, signal } = this.#options;
    const dead = { ...this.#options, epoch: point?.epoch ?? report.record.epoch };
    await withoutDeadCopies(dead, () => this.#fences.shutOut(point, signal), signal);
  }

  /**
   * Begins an epoch at `at` without a copy: every lane gets a fence there, and an empty copy that is closed. Returns what the source is to
   * be asked for. The record speaks of the epoch only when all of that is stored: until then nothing was promised to anybody.
   */
  async attach(at: Attachment): Promise<ResumePoint> {
    const { report, clock, copy, signal } = this.#options;
    const { replid, offset, db } = at;
    const history = { epoch: await this.#beginEpoch(), replid };
    await this.#fences.put(history, at, signal);
    await this.#fences.storeEmptyCopies(history, signal);
    const copied = { keys: 0, expectedKeys: 0, bytes: 0, expectedBytes: 0 };
    const joined = await this.#joined(history.epoch);
    await report.update({ ...history, copy, joined, storedOffset: offset, db, copied, retry: null }, clock.nowMs());
    this.#log.info({ ...history, offset, db }, "attached to the source's changes, without a copy");
    return { ...history, offset, db, highest: offset };
  }

  /**
   * Follows the links. `point`: what the source was asked to continue. Rejects with the fault that ended them; resolves where a link without a version is
   * to take the place of the first, see `ReplicaLink.saidVersion`: the copy is stored by then.
   */
  async run({ link, reply, copyLink }: CopyLinks, facts: SourceFacts, point: ResumePoint | null): Promise<void> {
    this.#link = link;
    this.#copyLink = copyLink;
    this.#endsPose = link.saidVersion && facts.isCluster && this.#options.mayRelink;
    if (reply.kind === "full") await this.#startCopy(facts, reply.replid, reply.offset);
    else if (point === null)
      throw new Retryable("SRC-001", `source ${this.#options.shard}`, "the source continues what nobody asked for");
    else await this.#continue(facts, reply.replid ?? point.replid, point);
    const ticking = this.#tick();
    const letGo = (): void => this.#backlog.open();
    this.#options.signal.addEventListener("abort", letGo, { once: true });
    const copying = this.#copy === null || copyLink === null ? null : this.#readCopy(this.#copy, copyLink);
    try {
      await this.#room?.look();
      this.#changes?.begin();
      await this.#read(link);
    } catch (cause) {
      if (this.#isPoseOver && this.#failure === null) return;
      const { shard, signal } = this.#options;
      const awaited = signal.aborted || !this.#isCopying || copyLink !== null ? null : this.#copy;
      throw this.#failure ?? streamFault(shard, cause, awaited);
    } finally {
      this.#changes?.end();
      this.#options.signal.removeEventListener("abort", letGo);
      this.#backlog.open();
      link.close();
      copyLink?.close();
      this.#over.abort();
      await Promise.all([ticking, copying, this.#removing, this.#joining, this.#copy?.end()]);
    }
  }

  /** The copy that an epoch begins with is not received yet. */
  get #isCopying(): boolean {
    return this.#copy !== null && !this.#copy.isReceived;
  }

  async #startCopy(facts: SourceFacts, replid: string, offset: number): Promise<void> {
    const { report, clock, copy } = this.#options;
    const epoch = await this.#beginEpoch();
    const copied = { keys: 0, expectedKeys: facts.keys, bytes: 0, expectedBytes: 0 };
    const joined = await this.#joined(epoch);
    await report.update(
      { epoch, copy, joined, replid, storedOffset: offset, db: 0, phase: "copying", copied, retry: null },
      clock.nowMs(),
    );
    await this.#fenceLinked({ epoch, replid }, { offset, db: 0 });
    // It may take the bus a while, and the source does not wait.
    this.#removing = this.#removeFormer(epoch);
    const changes = this.#openLanes(epoch, replid, facts, { offset, db: 0 }, true);
    const onLaneStored = (index: number): void => changes.copied(index);
    const at = { offset, expectedKeys: facts.keys, head: this.#head(epoch, replid) };
    this.#copy = new EpochCopy({ ...this.#options, ...at, feed: this.#feedOptions, onLaneStored });
    if (this.#copyLink !== null) this.#room = this.#roomBeside(this.#copy, changes);
    this.#log.info({ epoch, offset, replid, links: this.#copyLink === null ? 1 : 2 }, "full copy begins");
  }

  /** Copies of former epochs, and changes beside those that broke off, which the new one would have to share the stream with. */
  async #removeFormer(epoch: number): Promise<void> {
    const fences = this.#fences.ends.map(({ sequence }) => sequence);
    await removeDeadCopies({ ...this.#options, epoch }, this.#options.signal).catch((cause: unknown) => this.#fail(cause));
    await removeVoidCopies({ ...this.#options, log: this.#log });
    await removeVoidChanges({ ...this.#options, fences, log: this.#log });
  }

  #roomBeside(copy: EpochCopy, changes: LaneChanges): CopyRoom {
    const { stream, clock, lanes, bus } = this.#options;
    return new CopyRoom({
      stream,
      copy,
      changes,
      lanes: lanes.length,
      maxBatchBytes: bus.maxBatchBytes,
      clock,
      log: this.#log,
    });
  }

  async #beginEpoch(): Promise<number> {
    const { bus, tails } = this.#options;
    return beginEpoch(bus.records, this.#options, Math.max(0, ...tails.map(({ live }) => live?.epoch ?? 0)));
  }

  /** Groups that have come by now are served by the copy with which the epoch begins. */
  async #joined(epoch: number): Promise<{ epoch: number; number: number }> {
    return { epoch, number: await lastAddition(this.#options) };
  }

  /** Changes flow: from here on groups may be added beside them. */
  #letJoin(epoch: number, replid: string): void {
    const head = this.#head(epoch, replid);
    this.#joining = new GroupCopies({ ...this.#options, head, tries: this.#options.groupTries }).run(this.#whileOpen);
  }

  /** While the source keeps its stream for us: as patient with each fence as with the backlog. */
  async #fenceLinked(history: FencedHistory, at: { offset: number; db: number } | null): Promise<void> {
    await this.#fences.putWithin(BUS_PATIENCE_MS, history, at, this.#options.signal, () =>
      this.#busWait.impatience(BUS_PATIENCE_MS),
    );
  }

  async #continue(facts: SourceFacts, replid: string, point: ResumePoint): Promise<void> {
    const { report, clock } = this.#options;
    if (replid !== point.replid) await this.#fenceLinked({ epoch: point.epoch, replid }, null);
    await report.update(
      { epoch: point.epoch, replid, storedOffset: point.offset, db: point.db, phase: "streaming" },
      clock.nowMs(),
    );
    this.#openLanes(point.epoch, replid, facts, point, false);
    this.#letJoin(point.epoch, replid);
  }

  #openLanes(
    epoch: number,
    replid: string,
    { version }: SourceFacts,
    { offset, db }: Pick<ResumePoint, "offset" | "db">,
    besideCopy: boolean,
  ): LaneChanges {
    const at = { offset, db, version, besideCopy, head: this.#head(epoch, replid), ends: this.#fences.ends };
    this.#changes = new LaneChanges({ ...this.#options, ...at, feed: this.#feedOptions, signal: this.#whileOpen });
    return this.#changes;
  }

  async #read(link: ReplicaLink): Promise<void> {
    const ahead = this.#copyLink === null ? this.#copy : null;
    const changes = this.#changes as LaneChanges;
    for await (const chunk of link.chunks()) {
      this.#bytes += chunk.length;
      changes.heard();
      const at = ahead === null || ahead.isReceived ? 0 : this.#pushCopy(ahead, chunk);
      const asked = at < chunk.length ? changes.push(at === 0 ? chunk : chunk.subarray(at)) : null;
      if (asked !== null) await asked;
      changes.poke();
      if (this.#backlog.isFull) await this.#roomInBacklog();
      if (at > 0) await ahead?.pace(at);
      if (this.#room?.isScarce === true) await this.#room.find(() => !link.isOpen, this.#whileOpen);
      if (this.#failure !== null) throw this.#failure as Error;
      if (!this.#isCopying) this.#options.progress();
    }
  }

  /** The copy on a link of its own. Never rejects. */
  async #readCopy(copy: EpochCopy, link: ReplicaLink): Promise<void> {
    try {
      for await (const chunk of link.chunks()) {
        this.#bytes += chunk.length;
        const taken = this.#pushCopy(copy, chunk);
        if (copy.isReceived || this.#failure !== null) return;
        if (this.#backlog.isFull) await this.#roomInBacklog();
        await copy.pace(taken);
      }
    } catch (cause) {
      this.#fail(streamFault(this.#options.shard, cause, copy));
    } finally {
      link.close();
    }
  }

  /** Waits for the bus, for as long as it stores anything. Throws what it waited for in vain. */
  async #roomInBacklog(): Promise<void> {
    const { clock, signal } = this.#options;
    const hasRoom = await this.#backlog.roomWithin(BUS_PATIENCE_MS, clock, signal);
    if (!hasRoom && !signal.aborted) throw this.#busWait.impatience(BUS_PATIENCE_MS);
  }

  #pushCopy(copy: EpochCopy, chunk: Buffer): number {
    const taken = copy.push(chunk);
    if (copy.isReceived) {
      const { keys, bytes } = copy.progress;
      this.#log.info({ keys, bytes }, "full copy received and verified");
      this.#close(copy);
      this.#copiedAtMs = this.#options.clock.monotonicMs();
      this.#options.onCopied();
      const { epoch, replid } = this.#options.report.record;
      if (this.#endsPose) this.#joining = this.#endPose(epoch, replid);
      else this.#letJoin(epoch, replid);
      // A diskless source sends its stream only after the first acknowledgement.
      this.#link?.keepAlive();
      void this.#report({ phase: "streaming", copied: copy.progress });
    }
    return taken;
  }

  /** A replica passes on its primary's stream, and selects no database where ours begins: the RDB says which one it is in. */
  #close(copy: EpochCopy): void {
    const db = this.#copyLink === null ? (copy.streamDb ?? 0) : 0;
    if (db === 0) copy.close();
    else void this.#changes?.beginIn(db).then(() => copy.close());
  }

  /** Tells the source and the record once a second how things stand, for as long as the session lasts. */
  async #tick(): Promise<void> {
    const { clock, signal } = this.#options;
    while (!signal.aborted && this.#failure === null && this.#link !== null) {
      // Before the RDB is received the source takes nothing on the link that brings it.
      if (!this.#isCopying || this.#copyLink !== null) this.#link.keepAlive();
      await this.#room?.look();
      const copied = this.#copy !== null && this.#isCopying ? { copied: this.#copy.progress } : {};
      await this.#report({
        ...copied,
        storedOffset: this.#changes?.storedOffset ?? 0,
        db: this.#changes?.db ?? 0,
        commands: this.#changes?.commands ?? 0,
        bytes: this.#bytes,
      });
      await clock.sleep(REPORT_MS, signal);
      if (!this.#link.isOpen) return;
    }
  }

  async #endPose(epoch: number, replid: string): Promise<void> {
    const signal = this.#whileOpen;
    this.#isPoseOver = await becomesContinuable(this.#options, signal);
    if (this.#isPoseOver) this.#link?.close();
    else if (!signal.aborted) this.#letJoin(epoch, replid);
  }

  async #report(changes: Parameters<ShardReport["update"]>[0]): Promise<void> {
    const { report, clock } = this.#options;
    try {
      await report.update({ ...changes, ...this.#retry(report) }, clock.nowMs());
    } catch (cause) {
      if (!(cause instanceof Retryable) || cause instanceof TermLost) this.#fail(cause);
    }
  }

  /** What the shard waits for; what it waited for before the link is over when changes flow. */
  #retry({ record }: ShardReport): Pick<ShardReport["record"], "retry"> | null {
    const { retry } = this.#busWait;
    if (retry !== null) return { retry };
    return !this.#isCopying && record.retry !== null ? { retry: null } : null;
  }

  #waitForBus(fault: Retryable | null): void {
    const { clock, report } = this.#options;
    const isTold = this.#busWait.retry !== null;
    this.#busWait.note(fault);
    // Before the link nobody writes reports, and a bus that is away can't be told of on the bus.
    if (fault?.code === "BUS-005" && !isTold && this.#link === null)
      void report.update({ ...this.#retry(report) }, clock.nowMs()).catch(() => undefined);
  }

  #head(epoch: number, replid: string): LaneHead {
    return { shard: this.#options.shard, epoch, term: this.#options.report.term, replid };
  }

  #fail(fault: unknown): void {
    this.#failure ??= fault;
    this.#over.abort();
    this.#backlog.open();
    void this.#copy?.end();
    this.#link?.close();
    this.#copyLink?.close();
  }
}
