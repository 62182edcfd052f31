import { decodeReply, ReplyError, ReplyType, type ReplyFramer } from "@sluice/redis";
import { Halt, Retryable, type Clock } from "@sluice/runtime";
import { Request } from "../apply/request.ts";
import { destinationFault, StaleMark } from "../apply/standalone-destination.ts";
import { parseMark, type FailedCommands, type SlotSet } from "@sluice/wire";
import { quotable, verdictOf } from "../apply/verdict.ts";
import { WatchedTransaction, type CommandError } from "../apply/watched-transaction.ts";
import { APPLY_SCRIPT, commandName, type SlotGroup } from "./apply-script.ts";
import type { NodePool } from "./node-pool.ts";
import type { ClusterNode, SlotMap } from "./slot-map.ts";

/** Commands of a group that failed. The slot's mark has moved and says so; nothing behind the group is applied on the slot. */
export interface GroupFailure {
  readonly group: SlotGroup;
  /** As it stands now. */
  readonly mark: string;
  readonly failed: FailedCommands;
}

/** What a node answered to one group. */
type Answer =
  | { readonly kind: "applied"; readonly failure: Omit<GroupFailure, "group"> | null }
  | { readonly kind: "stale"; readonly found: string }
  | { readonly kind: "error"; readonly error: string };

const ASKING = Buffer.from("*1\r\n$6\r\nASKING\r\n");
/** The next wave takes it: a transaction on its slot comes first. */
const WAITS: Answer = { kind: "error", error: "TRYAGAIN" };
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 500;
/** A destination that can't take a group for so long is worth saying so: the lane starts again, with its retry shown. */
const PATIENCE_MS = 5_000;

/** A group whose mark was another than expected: somebody else applies this lane, or the destination's history changed. */
class StaleGroup extends Error {
  override readonly name = "StaleGroup";
  readonly group: SlotGroup;
  readonly found: string;
  constructor(group: SlotGroup, found: string) {
    super(`slot ${group.slot} holds mark ${found || "none"}, expected ${group.expected || "none"}`);
    this.group = group;
    this.found = found;
  }
}

/**
 * Sends slot groups to the nodes that serve their slots, all at once, and sees each of them through: redirects, slots that move,
 * nodes that can't for a moment. Groups of one slot are given in order, each expecting the mark that the one before it sets: so
 * a group behind one that was not applied answers STALE and is simply sent again, in order, with it. Nothing is ever applied out
 * of order or twice, whatever is sent how often.
 */
export class GroupSender {
  readonly #name: string;
  readonly #pool: NodePool;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #slots: SlotSet;
  #map: SlotMap;
  /** As the last node that was asked told it. */
  #known: SlotMap;
  /** Nodes to ask for a slot that is on its way to them. */
  readonly #asking = new Map<number, ClusterNode>();

  /** `slots`: the lane's. */
  constructor(name: string, pool: NodePool, map: SlotMap, slots: SlotSet, clock: Clock, signal: AbortSignal) {
    this.#name = name;
    this.#pool = pool;
    this.#map = map;
    this.#known = map;
    this.#slots = slots;
    this.#clock = clock;
    this.#signal = signal;
  }

  get map(): SlotMap {
    return this.#map;
  }

  /**
   * Learns the slot map anew. Throws `Retryable` DST-001 when a node that served some of the lane's slots serves none of them any
   * more: another may have taken its place without its last writes, so the lane must ask again where it stands (H10, H11).
   */
  async refresh(): Promise<void> {
    const map = await this.#pool.slotMap(this.#slots, this.#map.nodes);
    const gone = this.#known.nodesOf(this.#slots).find((name) => !map.nodesOf(this.#slots).includes(name));
    if (gone !== undefined) {
      throw new Retryable(
        "DST-001",
        `destination ${this.#name}`,
        `${gone} of ${this.#name} does not serve the lane any more: its marks are read anew`,
      );
    }
    this.#map = map;
    this.#known = map;
  }

  /**
   * Resolves when every group is applied, but for those that stand behind one of the failures on their slot. Throws `StaleGroup`,
   * `Retryable` DST-001 (outcome unknown) or DST-003, `Halt` DST-002 when a group is refused for good.
   */
  async send(groups: readonly SlotGroup[]): Promise<GroupFailure[]> {
    const failures = new Map<number, GroupFailure>();
    let pending = groups;
    let pauseMs = FIRST_PAUSE_MS;
    const startedAtMs = this.#clock.monotonicMs();
    while (pending.length > 0) {
      const answers = await this.#wave(pending);
      const { left, reason, isMoved } = this.#settle(pending, answers, failures);
      if (left.length === pending.length && !isMoved && this.#clock.monotonicMs() - startedAtMs > PATIENCE_MS) {
        throw new Retryable("DST-003", `destination ${this.#name}`, `destination ${this.#name} answered ${quotable(reason)}`);
      }
      if (left.length > 0) {
        if (isMoved) await this.refresh();
        if (reason !== "") {
          await this.#clock.sleep(isMoved ? FIRST_PAUSE_MS : pauseMs, this.#signal);
          pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
        }
      }
      pending = left;
    }
    return [...failures.values()];
  }

  /** Judges the answers in order; what was not applied is left to be sent again. */
  #settle(
    groups: readonly SlotGroup[],
    answers: readonly Answer[],
    failures: Map<number, GroupFailure>,
  ): { left: SlotGroup[]; reason: string; isMoved: boolean } {
    const left: SlotGroup[] = [];
    const held = new Set<number>();
    let reason = "";
    let isMoved = false;
    for (const [index, group] of groups.entries()) {
      const answer = answers[index] as Answer;
      // Whatever it was answered: its own mark is not there to be expected.
      if (failures.has(group.slot)) continue;
      const failure = answer.kind === "applied" ? answer.failure : failureFound(group, answer);
      if (answer.kind === "applied" || failure !== null) {
        this.#asking.delete(group.slot);
        if (failure !== null) failures.set(group.slot, { group, ...failure });
      } else if (answer.kind === "stale" && held.has(group.slot)) left.push(group);
      else if (answer.kind === "stale") {
        // Our own, from a send whose answer came from a node that had handed the slot over.
        if (answer.found !== group.next || group.next === group.expected) throw new StaleGroup(group, answer.found);
      } else {
        isMoved = this.#redirect(group, answer.error) || isMoved;
        if (answer !== WAITS) reason = answer.error;
        held.add(group.slot);
        left.push(group);
      }
    }
    return { left, reason, isMoved };
  }

  /** Remembers where a redirect points to. True for MOVED. Throws `Halt` for what will not work later either. */
  #redirect(group: SlotGroup, error: string): boolean {
    const fields = /^(MOVED|ASK) \d+ (.*):(\d+)/.exec(error);
    if (fields === null) {
      const verdict = error.startsWith("NOSCRIPT") ? "wait" : verdictOf(error);
      // Where a slot is half on its way, its owner is asked first again: it knows whether it still is.
      this.#asking.delete(group.slot);
      if (verdict === "wait" || verdict === "redirect") return false;
      // Of what the script calls outside of its units, only the mark can be of another type.
      if (/\bWRONGTYPE\b/.test(error)) throw new Halt("DST-005", `the mark ${group.markKey} in ${this.#name} is no string`);
      throw new Halt("DST-002", `${this.#name} refuses a group of slot ${group.slot}: ${quotable(error)}`);
    }
    const [, kind, host, port] = fields;
    const owner = this.#map.ownerOf(group.slot);
    const node = { host: host === "" ? (owner?.host ?? "") : (host as string), port: Number(port) };
    if (kind === "ASK") {
      this.#asking.set(group.slot, { ...node, name: `${node.host}:${node.port}` });
      return false;
    }
    this.#asking.delete(group.slot);
    this.#map = this.#map.moved(group.slot, node.host, node.port);
    return true;
  }

  async #wave(groups: readonly SlotGroup[]): Promise<Answer[]> {
    const answers = Array.from<Answer>({ length: groups.length });
    const byNode = new Map<string, { node: ClusterNode; indexes: number[] }>();
    const alone: number[] = [];
    const behind = new Set<number>();
    for (const [index, group] of groups.entries()) {
      if (behind.has(group.slot)) {
        answers[index] = WAITS;
        continue;
      }
      if (!group.fitsScript) {
        alone.push(index);
        behind.add(group.slot);
        continue;
      }
      const node = this.#nodeFor(group.slot);
      const entry = byNode.get(node.name) ?? { node, indexes: [] };
      byNode.set(node.name, entry);
      entry.indexes.push(index);
    }
    await Promise.all([...byNode.values()].map(({ node, indexes }) => this.#sendTo(node, groups, indexes, answers)));
    for (const index of alone) answers[index] = await this.#applyAlone(groups[index] as SlotGroup);
    return answers;
  }

  #nodeFor(slot: number): ClusterNode {
    const node = this.#asking.get(slot) ?? this.#map.ownerOf(slot);
    if (node === null)
      throw new Retryable("DST-003", `destination ${this.#name}`, `no node of ${this.#name} serves slot ${slot}`);
    return node;
  }

  async #sendTo(node: ClusterNode, groups: readonly SlotGroup[], indexes: readonly number[], answers: Answer[]): Promise<void> {
    const connection = await this.#pool.connection(node);
    let bytes = 0;
    for (const index of indexes) bytes += (groups[index] as SlotGroup).encodedBytes + ASKING.length;
    const request = Buffer.allocUnsafe(bytes);
    let end = 0;
    /** For each reply: the group it answers, -1 for ASKING. */
    const owed: number[] = [];
    for (const index of indexes) {
      const group = groups[index] as SlotGroup;
      if (this.#asking.has(group.slot)) {
        end += ASKING.copy(request, end);
        owed.push(-1);
      }
      end = group.write(request, end);
      owed.push(index);
    }
    let taken = 0;
    const read = (framer: ReplyFramer, remaining: number): number => {
      let count = 0;
      while (count < remaining && framer.next()) {
        const index = owed[taken + count] as number;
        if (index >= 0) answers[index] = readAnswer(framer);
        count++;
      }
      taken += count;
      return count;
    };
    try {
      await connection.exchange(request.subarray(0, end), owed.length, read);
      const lacksScript = indexes.some((index) => isNoScript(answers[index]));
      if (lacksScript) await connection.call(["SCRIPT", "LOAD", APPLY_SCRIPT]);
    } catch (cause) {
      throw destinationFault(`${this.#name} (${node.name})`, cause);
    }
  }

  /** A group that no script can take goes alone, by a watched transaction on its slot. */
  async #applyAlone(group: SlotGroup): Promise<Answer> {
    if (this.#asking.has(group.slot)) return { kind: "error", error: "TRYAGAIN its slot is on its way to another node" };
    const node = this.#nodeFor(group.slot);
    const connection = await this.#pool.transactions(node);
    try {
      const { questions, judge } = group.guard ?? {};
      const transaction = await WatchedTransaction.reopen(connection, group.markKey, questions, judge);
      const request = new Request();
      for (const command of group.plain())
        for (const [index, raw] of command.entries()) request.addRaw(raw, index === 0 ? 1 : 0);
      const result = await transaction.apply(group.expected === "" ? null : group.expected, request, group.next);
      if (result.outcome === "stale") return { kind: "stale", found: result.found ?? "" };
      if (result.outcome === "refused") return { kind: "error", error: result.error };
      return { kind: "applied", failure: failureOf(group.next, result.errors) };
    } catch (cause) {
      if (cause instanceof ReplyError) return { kind: "error", error: cause.message };
      if (cause instanceof Retryable) throw cause;
      throw destinationFault(`${this.#name} (${node.name})`, cause);
    }
  }
}

function isNoScript(answer: Answer | undefined): boolean {
  return answer?.kind === "error" && answer.error.startsWith("NOSCRIPT");
}

function readAnswer({ buffer, start, end, type }: ReplyFramer): Answer {
  if (type === ReplyType.simpleString) return { kind: "applied", failure: null };
  if (type === ReplyType.error) return { kind: "error", error: buffer.toString("utf8", start + 1, end - 2) };
  const reply = decodeReply(buffer, start, end);
  const [word, first, second] = Array.isArray(reply) ? reply.map(String) : [];
  if (word === "STALE") return { kind: "stale", found: first ?? "" };
  const failed = word === "FAILED" ? parseMark(first ?? "").judged?.failed : undefined;
  if (failed !== undefined)
    return { kind: "applied", failure: { mark: first ?? "", failed: { ...failed, error: second ?? "" } } };
  return { kind: "error", error: `an answer that is none of the script's: ${String(reply).slice(0, 80)}` };
}

/** What a failed `send` is to the lane: a group that was stale as `StaleMark`, anything else as it is. */
export function staleMarkOf(name: string, cause: unknown): unknown {
  if (!(cause instanceof StaleGroup)) return cause;
  const { group, found } = cause;
  return new StaleMark(`${name}, slot ${group.slot}`, group.expected, found);
}

/** What a failure is where no policy covers it. */
export function failedBehindMark(name: string, { group, failed }: GroupFailure): Halt {
  const code = verdictOf(failed.error) === "halt" ? "DST-007" : "DST-004";
  // Servers up to 6.2 and from 7.0 on alike don't name a command that a script calls and they don't know.
  const command = group.commands[failed.indexes[0] ?? -1];
  const what = command === undefined ? "a command" : commandName(command);
  return new Halt(code, `${what} on slot ${group.slot} failed in ${name} behind its mark: ${quotable(failed.error)}`);
}

/** What failed in a watched transaction; null when nothing did. */
function failureOf(mark: string, errors: readonly CommandError[]): Omit<GroupFailure, "group"> | null {
  const [first] = errors;
  if (first === undefined) return null;
  return { mark, failed: { indexes: errors.map(({ index }) => index), count: errors.length, error: first.error } };
}

/** A group that failed in a send whose answer came from a node that had handed the slot over: its mark tells. */
function failureFound(group: SlotGroup, answer: Answer): Omit<GroupFailure, "group"> | null {
  if (answer.kind !== "stale" || !answer.found.startsWith(`${group.next}|`) || group.expected.startsWith(group.next))
    return null;
  const failed = parseMark(answer.found).judged?.failed;
  return failed === undefined ? null : { mark: answer.found, failed };
}
