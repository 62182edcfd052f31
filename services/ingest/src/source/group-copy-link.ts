import { sendsRdbAlone } from "@sluice/redis";
import type { LaneStream } from "@sluice/bus";
import { Retryable } from "@sluice/runtime";
import type { CopyRecord } from "@sluice/wire";
import { BacklogBound } from "../lanes/backlog-bound.ts";
import type { LaneHead } from "../lanes/lane-batch.ts";
import { snapshotFeed, type Feed, type FeedOptions } from "../lanes/lane-feed.ts";
import type { SnapshotBatcher } from "../lanes/snapshot-batcher.ts";
import { CopyThrottle } from "./copy-throttle.ts";
import { FullCopy } from "./full-copy.ts";
import type { IntakeOptions } from "./intake.ts";
import { ReplicaLink } from "./replica-link.ts";
import { checkRole } from "./source-role.ts";
import { streamFault } from "./stream-fault.ts";

/** The link is given up when the bus stores nothing for so long: the source's child would wait as long. */
const BUS_PATIENCE_MS = 10_000;
/**
 * And the copy when nothing holds the source any more, and the bus stores nothing for so long: before the first link loses its patience, so that a
 * stream that is full makes the copy give way.
 */
const STORE_PATIENCE_MS = 7_000;

export interface GroupCopyLinkOptions extends Pick<
  IntakeOptions,
  "pipeline" | "shard" | "cut" | "slots" | "endpoint" | "commands" | "read" | "bus" | "clock" | "log" | "copyLimits"
> {
  readonly stream: LaneStream;
  /** The shard's lanes, in ascending order. */
  readonly lanes: readonly number[];
  /** Number of the copy; nothing was ever published under it. */
  readonly copy: number;
  /** What the shard's changes are stored under: a copy of another history is worth nothing beside them. */
  readonly head: LaneHead;
  /** The source sends the copy that stands for `offset`; nothing of it is stored before this resolves. */
  readonly begun: (offset: number, expectedKeys: number) => Promise<void>;
  /** The RDB is received and verified; the source is done with it. */
  readonly received: () => void;
}

/**
 * A second replication link, for one copy of a shard whose changes flow on the first: takes the RDB and lets go. Every lane's copy is
 * closed by an end that says S, since no fence does.
 */
export class GroupCopyLink {
  readonly #options: GroupCopyLinkOptions;
  readonly #backlog = new BacklogBound();
  #feeds: Feed<SnapshotBatcher>[] = [];
  #copy: FullCopy | null = null;
  #expectedKeys = 0;
  #failure: unknown = null;
  #stored: () => void = () => undefined;

  constructor(options: GroupCopyLinkOptions) {
    this.#options = options;
  }

  get copied(): CopyRecord {
    const none = { keys: 0, expectedKeys: this.#expectedKeys, bytes: 0, expectedBytes: 0 };
    return this.#copy?.progress(this.#expectedKeys) ?? none;
  }

  /**
   * Resolves when the copy is stored, ends included, or `signal` aborted. Throws `Retryable` SRC-001, SRC-003, SRC-004, SRC-009, SRC-020,
   * BUS-001, BUS-002, BUS-005, `Halt` SRC-002, SRC-017, SRC-021.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { shard, endpoint, commands } = this.#options;
    const link = await ReplicaLink.open(shard, endpoint, signal, commands);
    const close = (): void => {
      link.close();
      this.#backlog.open();
      this.#stored();
    };
    signal.addEventListener("abort", close, { once: true });
    try {
      await this.#begin(link, signal);
      await this.#read(link, signal);
      link.close();
      await this.#allStored(signal);
    } catch (cause) {
      throw this.#faultOf(this.#failure ?? cause);
    } finally {
      signal.removeEventListener("abort", close);
      link.close();
    }
  }

  async #begin(link: ReplicaLink, signal: AbortSignal): Promise<void> {
    const { shard, head, begun, lanes, bus, stream, pipeline, copy, clock, log, cut, slots } = this.#options;
    const facts = await link.facts();
    checkRole(facts, this.#options);
    this.#checkHistory(facts.replid);
    const isRdbOnly = sendsRdbAlone(facts) && (await link.askRdbOnly());
    const reply = await link.psync(null, 0);
    if (reply.kind !== "full")
      throw new Retryable("SRC-001", `source ${shard}`, "the source answered a request for a full copy otherwise");
    this.#checkHistory(reply.replid);
    this.#expectedKeys = facts.keys;
    await begun(reply.offset, facts.keys);
    const options: FeedOptions = {
      log: stream,
      pipeline,
      shard,
      copy,
      maxBatchBytes: bus.maxBatchBytes,
      backlog: this.#backlog,
      clock,
      signal,
      onStored: () => this.#stored(),
      onFailed: (fault) => this.#fail(fault, link),
      onWaiting: (fault) => fault !== null && log.warn({ code: fault.code, copy }, fault.message),
    };
    this.#feeds = lanes.map((lane) => snapshotFeed(lane, head, reply.offset, 0, options));
    const byLane = Array.from<SnapshotBatcher | undefined>({ length: cut });
    for (const [index, { batcher }] of this.#feeds.entries()) byLane[lanes[index] as number] = batcher;
    this.#copy = new FullCopy(byLane, slots, this.#options);
    log.info({ epoch: head.epoch, copy, offset: reply.offset, isRdbOnly }, "a copy for groups that were added begins");
  }

  async #read(link: ReplicaLink, signal: AbortSignal): Promise<void> {
    const { clock, received, copyLimits = {} } = this.#options;
    const copy = this.#copy;
    if (copy === null) return;
    const throttle = new CopyThrottle({ ...this.#options, limits: copyLimits, signal });
    try {
      for await (const chunk of link.chunks()) {
        const taken = copy.transfer.push(chunk);
        const isDone = copy.transfer.done;
        if (isDone) copy.finish(true);
        for (const { publisher } of this.#feeds) publisher.poke();
        if (isDone) return received();
        if (this.#backlog.isFull && !(await this.#backlog.roomWithin(BUS_PATIENCE_MS, clock, signal)) && !signal.aborted)
          throw new Retryable("BUS-001", "bus", `the bus stored nothing of a copy for ${BUS_PATIENCE_MS} ms; it is given up`);
        if (copy.transfer.passedBytes > 0) await throttle.pass(taken);
        if (this.#failure !== null) throw this.#failure as Error;
      }
    } finally {
      await throttle.end();
    }
  }

  /** Gives up where the bus takes nothing for long: what is stored of the copy may be what fills the stream for everybody. */
  async #allStored(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const isOver = (): boolean =>
      signal.aborted || this.#failure !== null || this.#feeds.every(({ batcher }) => batcher.isEmpty);
    for (let before = Infinity; !isOver();) {
      if (this.#backlog.bytes >= before)
        throw new Retryable("BUS-001", "bus", `the bus stored nothing of a copy for ${STORE_PATIENCE_MS} ms; it is given up`);
      before = this.#backlog.bytes;
      const decided = new AbortController();
      const stored = new Promise<void>((resolve) => {
        this.#stored = resolve;
      });
      await Promise.race([stored, clock.sleep(STORE_PATIENCE_MS, AbortSignal.any([signal, decided.signal]))]);
      decided.abort();
    }
    if (this.#failure !== null) throw this.#failure as Error;
  }

  /** Positions in one history mean nothing in another. */
  #checkHistory(replid: string): void {
    const { shard, head } = this.#options;
    if (replid === "" || replid === head.replid) return;
    const message = "the source's history is another one than that of the changes that are stored: it failed over";
    throw new Retryable("SRC-003", `source ${shard}`, message);
  }

  #fail(fault: unknown, link: ReplicaLink): void {
    this.#failure ??= fault;
    this.#backlog.open();
    this.#stored();
    link.close();
  }

  #faultOf(cause: unknown): unknown {
    return streamFault(this.#options.shard, cause, this.#copy);
  }
}
