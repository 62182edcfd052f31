import type { Bus, Leases } from "@sluice/bus";
import type { Endpoint } from "@sluice/redis";
import { describeFault, persist, Retryable, type Actor, type Clock, type Fault, type Logger } from "@sluice/runtime";
import { lanesOf, type SlotSet } from "@sluice/wire";
import { readTails } from "../lanes/lane-tails.ts";
import { resumePoint, type ResumePoint } from "../lanes/resume-point.ts";
import { ShardReport } from "../shard-report.ts";
import { LinkSession } from "./link-session.ts";
import { ReplicaLink, type SourceFacts } from "./replica-link.ts";

/** Copies are numbered inside an epoch; the one that an epoch begins with is for all groups. */
const FIRST_COPY = 1;

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
  readonly instance: string;
  readonly bus: Bus;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * The intake of one source shard: one replication link at a time, from PSYNC into the shard's lanes.
 *
 * Every run takes a new term, looks at the lanes' tails, fences them, and asks the source for what follows. What is stored in
 * the lanes is all that it builds on: it can be killed at any point and run anywhere else.
 *
 *     lease ▶ tails ▶ term ▶ fences ▶ PSYNC ─┬─ +CONTINUE ──────────────────────────────▶ changes
 *                                           └─ +FULLRESYNC ▶ epoch ▶ fences ▶ full copy ▶ changes
 */
export class SourceIntake implements Actor {
  readonly name: string;
  readonly #options: IntakeOptions;
  #report: ShardReport | null = null;
  #stopping = new AbortController().signal;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.name = `intake ${options.pipeline} ${options.shard}`;
  }

  async run(stopping: AbortSignal, progress: () => void): Promise<void> {
    const { leases, pipeline, shard } = this.#options;
    this.#stopping = stopping;
    await leases.during(`ingest.${pipeline}.${shard}`, stopping, (signal) => this.#follow(signal, progress));
  }

  retrying(fault: Fault, since: number): void {
    const endpoint = "endpoint" in fault ? String(fault.endpoint) : "sluice";
    this.#tell({ phase: "connecting", retry: { endpoint, since, reason: describeFault(fault) } });
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

  async #follow(signal: AbortSignal, progress: () => void): Promise<void> {
    const { bus, clock, pipeline, shard, cut, slots, floor, instance, endpoint, log } = this.#options;
    const stream = bus.stream(pipeline);
    await stream.ensure();
    const lanes = lanesOf(slots, cut);
    const tails = await readTails(stream, pipeline, shard, FIRST_COPY, lanes);
    const stored = Math.max(0, ...tails.map(({ live, snap }) => Math.max(live?.term ?? 0, snap?.term ?? 0)));
    const report = await ShardReport.takeTerm(bus.records, pipeline, shard, instance, stored, clock.nowMs());
    this.#report = report;
    const found = resumePoint(tails);
    const point = found !== null && found.epoch > floor ? found : null;
    const session = new LinkSession({ ...this.#options, stream, report, copy: FIRST_COPY, lanes, tails, signal, progress });
    if (point !== null) await session.fence({ epoch: point.epoch, replid: point.replid });
    const link = await ReplicaLink.open(shard, endpoint, signal);
    const close = (): void => link.close();
    signal.addEventListener("abort", close, { once: true });
    try {
      const facts = await link.facts();
      const asked = point === null || !canContinue(point, facts) ? null : point;
      const reply = await link.psync(asked?.replid ?? null, asked?.offset ?? 0);
      if (reply.kind === "continue" && !isKnownHistory(reply.replid, asked, facts)) {
        throw new Retryable("SRC-003", `source ${shard}`, "the source's history changed between INFO and PSYNC");
      }
      log.info({ shard, term: report.term, asked: asked?.offset ?? "full copy", answer: reply.kind }, "linked to the source");
      await session.run(link, facts, reply, asked);
    } finally {
      signal.removeEventListener("abort", close);
      link.close();
    }
  }

  #tell(changes: Parameters<ShardReport["update"]>[0]): void {
    const { clock, log } = this.#options;
    this.#report
      ?.update(changes, clock.nowMs())
      .catch((cause: unknown) => log.debug({ cause: describeFault(cause) }, "report not written"));
  }
}

/**
 * Whether a source may be asked to continue. Where it has the lanes' history as its former one, it may only if that history
 * reaches beyond every lane: a lane that is ahead of a promoted replica holds writes which the new history lost, and skipping by
 * offset would lose others in their place (H24).
 */
export function canContinue(point: ResumePoint, facts: Pick<SourceFacts, "replid" | "secondReplOffset">): boolean {
  if (facts.replid === "" || facts.replid === point.replid || facts.secondReplOffset < 0) return true;
  return point.highest < facts.secondReplOffset;
}

/** A continuation under another id was judged by what INFO said of that id; under a third one it has not been judged. */
function isKnownHistory(replid: string | null, asked: ResumePoint | null, facts: Pick<SourceFacts, "replid">): boolean {
  return replid === null || replid === asked?.replid || replid === facts.replid;
}
