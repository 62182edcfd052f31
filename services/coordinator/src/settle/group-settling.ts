import {
  ClusterConnections,
  ConnectionLost,
  endpointName,
  ReplyError,
  slotsWithoutOwner,
  slotTag,
  type Deployment,
  type Endpoint,
} from "@sluice/redis";
import {
  describeFault,
  Fault,
  Halt,
  printable,
  reasonOf,
  Retryable,
  trustFault,
  type Actor,
  type Clock,
  type Logger,
} from "@sluice/runtime";
import { SlotSet, slotMarkKey, type DestinationSpec, type SettlingRecord } from "@sluice/wire";
import { highestMark, laneMarkKeys } from "../precheck/read-marks.ts";
import { KeptLookup } from "./kept-lookup.ts";
import { SettleServer, type SettleCount } from "./settle-server.ts";
import type { SettleStep } from "./settle-script.ts";
import { readSettledNote, settledNoteKey, writeSettledNote, type SettledNote } from "./settled-note.ts";

const LOOK_TIMEOUT_MS = 5_000;
const TELL_EVERY_MS = 1_000;
const MARKS_AT_ONCE = 512;
/** Replies that end by themselves: the server is busy, or the slots have just changed hands. */
const PASSING = new Set([
  "MOVED",
  "ASK",
  "TRYAGAIN",
  "CLUSTERDOWN",
  "LOADING",
  "BUSY",
  "MASTERDOWN",
  "READONLY",
  "OOM",
  "MISCONF",
  "NOREPLICAS",
]);

export interface GroupSettlingOptions {
  readonly pipeline: string;
  readonly group: string;
  readonly existing: DestinationSpec["existing"];
  readonly graceMs: number;
  /** Lanes that the slot space may be cut into. */
  readonly lanes: number;
  readonly endpoint: Endpoint;
  readonly look: (connections: ClusterConnections, endpoint: Endpoint) => Promise<Deployment>;
  /** How far it is, as stored. */
  readonly record: () => SettlingRecord;
  /** Stores what has changed. Resolves when it is stored; throws `Retryable` BUS-001. */
  readonly write: (changes: Partial<SettlingRecord>) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Settles one destination: every expiry there loses the grace that it has carried since its first key.
 *
 * An expiry with the grace is odd in milliseconds and a true one even, so that each key says by itself whether it is settled: the
 * walk may be broken off anywhere and begun again, by any coordinator, and asks the source nothing.
 *
 *     standalone   look ▶ mark there? ▶ noted: "begun" ▶ walk: odd ← odd − G − 1 ▶ look: the same servers? ▶ noted: "done"
 *     cluster      look ▶ mark there? ▶ walk: even ← even + 1  ▶ the same? ▶ noted: "begun", and who owns which slots
 *                                     ▶ walk: odd ← odd − G − 1 ▶ the same? ▶ noted: "done"
 *
 * A cluster's first walk is for slots that moved while the pipeline ran: MIGRATE sends the time that is left, and what it takes
 * is added, so that a moved expiry is odd or even by chance. All expiries carry the grace before the first is settled, so all are
 * made odd; from the note on an even one is settled. If slots move behind it nobody can tell any more: it halts,
 * and says which. With `existing: overwrite` and `keep` keys of others may be there, and the first walk is left out. Of `keep` those
 * that stood there before are known by name, see `KeptLookup`, and never looked at.
 *
 * Notes stand in the destination (`settledNoteKey`) and in the records, which may be lost: what is settled, and what clients set
 * from then on, must not be settled again.
 *
 * A server that was replaced by its replica may have lost what was settled last: then the walk begins again.
 */
export class GroupSettling implements Actor {
  readonly name: string;
  readonly #options: GroupSettlingOptions;
  #looked = 0;
  #settled = 0;
  #toldAtMs = 0;
  #telling: Promise<void> = Promise.resolve();

  constructor(options: GroupSettlingOptions) {
    this.#options = options;
    this.name = `settling ${options.pipeline} ${options.group}`;
  }

  async run(signal: AbortSignal, progress: () => void): Promise<void> {
    const { endpoint, record, write } = this.#options;
    if (record().isDone) return;
    const connections = new ClusterConnections(endpoint, LOOK_TIMEOUT_MS);
    try {
      const seen = await this.#look(connections);
      const epoch = await this.#epochOf(connections, seen);
      const isRemarking = seen.mode === "cluster" && !this.#isShared;
      const note = await readSettledNote(connections, seen, this.#noteKey, epoch);
      if (note?.state === "done") return await this.#finish("expiries were settled before; nothing is changed");
      this.#requireGrace(note);
      if (note !== null && isRemarking && !record().isRemarked) await write({ isRemarked: true, slots: note.slots });
      this.#settled = record().settled;
      if (isRemarking && !record().isRemarked) {
        await this.#walk("mark", seen, signal, progress);
        if (signal.aborted) return;
        await this.#requireSame(connections, seen);
      }
      await this.#note(connections, seen, "begun", epoch);
      if (isRemarking && !record().isRemarked) await write({ isRemarked: true, slots: partitionOf(seen) });
      this.#requireSlots(seen);
      await this.#walk("settle", seen, signal, progress);
      if (signal.aborted) return;
      await this.#requireSame(connections, seen);
      await this.#note(connections, seen, "done", epoch);
      await this.#finish("expiries are settled");
    } catch (cause) {
      throw this.#faultOf(cause);
    } finally {
      connections.close();
    }
  }

  retrying(fault: Fault, since: number): void {
    const endpoint = "endpoint" in fault ? String(fault.endpoint) : this.#endpointName;
    this.#tell({ retry: { endpoint, since, reason: reasonOf(fault) } });
  }

  halted(fault: Fault): void {
    const { clock } = this.#options;
    this.#tell({
      retry: null,
      halt: { code: fault.code, message: describeFault(fault), remedy: fault.remedy, at: clock.nowMs() },
    });
  }

  recovered(): void {
    this.#tell({ retry: null });
  }

  get #endpointName(): string {
    return `destination ${this.#options.group}`;
  }

  async #look(connections: ClusterConnections): Promise<Deployment> {
    const seen = await this.#options.look(connections, this.#options.endpoint);
    const missing = slotsWithoutOwner(seen.primaries);
    const trouble = seen.trouble ?? (missing === "" ? null : `nobody owns the slots ${missing}`);
    if (trouble !== null) throw new Retryable("DST-011", this.#endpointName, trouble);
    if (seen.movingSlots.length > 0) {
      throw new Retryable(
        "DST-011",
        this.#endpointName,
        `${seen.movingSlots.length} of its slots are on their way to another node`,
      );
    }
    return seen;
  }

  get #noteKey(): string {
    return settledNoteKey(this.#options.pipeline, this.#options.group);
  }

  #requireGrace(note: SettledNote | null): void {
    const { graceMs } = this.#options;
    if (note === null || note.graceMs === graceMs) return;
    const what = `${this.#endpointName} was being settled with a grace of ${note.graceMs} ms`;
    throw new Halt("DST-015", `${what}, and the pipeline's is ${graceMs} ms now`);
  }

  async #note(connections: ClusterConnections, seen: Deployment, state: SettledNote["state"], epoch: number): Promise<void> {
    const note = { state, epoch, graceMs: this.#options.graceMs, slots: partitionOf(seen) };
    await writeSettledNote(connections, seen, this.#noteKey, note);
  }

  async #finish(message: string): Promise<void> {
    const { group, log, write } = this.#options;
    await write({ isDone: true, looked: this.#looked, settled: this.#settled, retry: null, halt: null });
    log.info({ group, keys: this.#looked, settled: this.#settled }, message);
  }

  /**
   * The highest epoch of this pipeline's marks. Nothing is changed on a server that holds none: it is not the one that it was, or
   * another one. Throws `Halt` DST-005.
   */
  async #epochOf(connections: ClusterConnections, { mode, primaries }: Deployment): Promise<number> {
    const { pipeline, group, lanes } = this.#options;
    const texts: string[] = [];
    for (const primary of primaries) {
      const keys =
        mode === "standalone"
          ? laneMarkKeys({ name: pipeline, group, lanes })
          : [...SlotSet.parse(primary.slots)].map((slot) => slotMarkKey(slotTag(slot), pipeline, group));
      for (let from = 0; from < keys.length; from += MARKS_AT_ONCE) {
        const asked = keys.slice(from, from + MARKS_AT_ONCE).map(async (key) => connections.call(primary, ["GET", key]));
        for (const mark of await Promise.all(asked)) if (Buffer.isBuffer(mark)) texts.push(mark.toString("latin1"));
      }
    }
    const highest = highestMark(texts);
    if (highest === null) {
      throw new Halt("DST-005", `${this.#endpointName} holds no mark of pipeline ${pipeline}: its expiries are not touched`);
    }
    if (typeof highest === "string") throw new Halt("DST-005", `a mark in ${this.#endpointName} can't be read: ${highest}`);
    return highest.epoch;
  }

  /** All primaries side by side, each at its own pace. */
  async #walk(step: SettleStep, { mode, primaries }: Deployment, signal: AbortSignal, progress: () => void): Promise<void> {
    const { pipeline, group, endpoint, graceMs, existing, record, clock } = this.#options;
    const rule = { step, graceMs, sparesThePast: this.#isShared };
    const servers: SettleServer[] = [];
    const lookups: KeptLookup[] = [];
    try {
      for (const { host, port, slots } of primaries) {
        const own = { ...endpoint, host, port };
        servers.push(await SettleServer.open(own, signal));
        const isCluster = mode === "cluster";
        const { isWithoutNames = false } = record();
        if (existing === "keep")
          lookups.push(await KeptLookup.open(own, { pipeline, group, isCluster, slots, isWithoutNames, signal }));
      }
      let expected = 0;
      for (const server of servers) expected += await server.count();
      this.#looked = 0;
      await this.#options.write({ looked: 0, expected });
      const onPage = (page: SettleCount): void => {
        this.#looked += page.looked;
        if (step === "settle") this.#settled += page.changed;
        progress();
        this.#tellProgress();
      };
      const walks = servers.map(async (server, index) => {
        const kept = lookups[index];
        await server.walk({ rule, ...(kept === undefined ? {} : { kept }), clock, signal, onPage });
      });
      await Promise.all(walks).catch(async (cause: unknown) => {
        for (const server of servers) server.close();
        await Promise.allSettled(walks);
        throw cause;
      });
    } finally {
      for (const server of [...servers, ...lookups]) server.close();
    }
  }

  /** Keys of others may be there. */
  get #isShared(): boolean {
    return this.#options.existing === "overwrite" || this.#options.existing === "keep";
  }

  async #requireSame(connections: ClusterConnections, before: Deployment): Promise<void> {
    const after = await this.#look(connections);
    this.#requireSlots(after);
    if (serversOf(after) !== serversOf(before)) {
      throw new Retryable(
        "DST-011",
        this.#endpointName,
        "its primaries changed while expiries were set right; looking at all again",
      );
    }
  }

  /** Behind the note "begun" slots must stay where they are. */
  #requireSlots(seen: Deployment): void {
    const { slots } = this.#options.record();
    if (slots === null || slots === partitionOf(seen)) return;
    throw new Halt(
      "DST-013",
      `slots of ${this.#endpointName} moved while its expiries were set right: they were ${slots}, and are ${partitionOf(seen)}`,
    );
  }

  #tellProgress(): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - this.#toldAtMs < TELL_EVERY_MS) return;
    this.#toldAtMs = nowMs;
    this.#tell({ looked: this.#looked, settled: this.#settled });
  }

  /** For people: what can't be told now is told with the next. */
  #tell(changes: Partial<SettlingRecord>): void {
    const { write, log } = this.#options;
    this.#telling = this.#telling
      .then(() => write(changes))
      .catch((cause: unknown) => {
        log.debug({ cause: describeFault(cause) }, "progress not written");
      });
  }

  #faultOf(cause: unknown): unknown {
    if (cause instanceof Fault) return cause;
    const endpoint = this.#endpointName;
    const untrusted = trustFault(cause);
    if (untrusted !== null) return new Halt("DST-020", `${endpoint}: ${printable(untrusted)}`, { cause });
    if (cause instanceof ConnectionLost)
      return new Retryable("DST-001", endpoint, `${endpoint}: the connection broke`, { cause });
    if (cause instanceof ReplyError) {
      const message = `${endpoint} answered ${cause.message.slice(0, 200)}`;
      return PASSING.has(cause.code) ? new Retryable("DST-003", endpoint, message) : new Halt("DST-002", message);
    }
    return cause;
  }
}

/** Which slots are together on a server, whichever server that is. */
function partitionOf({ primaries }: Deployment): string {
  return primaries.map(({ slots }) => slots).join(" | ");
}

function serversOf({ primaries }: Deployment): string {
  return primaries.map((primary) => `${primary.id} ${endpointName(primary)} ${primary.slots}`).join(" | ");
}
