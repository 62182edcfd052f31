import { ReplyError, type Reply } from "@sluice/redis";
import { Retryable } from "@sluice/runtime";
import { formatMark, type Position, type SlotSet } from "@sluice/wire";
import { markFault, StaleMark } from "../apply/standalone-destination.ts";
import { verdictOf } from "../apply/verdict.ts";
import { slotMark, watermark, type ClusterMarks, type MarkNames } from "./cluster-marks.ts";
import type { GroupSender } from "./group-sender.ts";
import type { NodePool } from "./node-pool.ts";
import type { ClusterNode, SlotMap } from "./slot-map.ts";

/**
 * KEYS: a watermark, the mark of its slot. ARGV: the expected watermark (empty: none), the next one, the node's replication id as it
 * was when the marks were read (empty: it tells none). Where there was no watermark nothing but the slot's mark tells whether the node has
 * been emptied since. Servers before 7.0 let a script write behind INFO only when they replicate its effects.
 */
const RAISE = `
if redis.replicate_commands then redis.replicate_commands() end
if ARGV[3] ~= '' and not string.find(redis.call('INFO', 'replication'), 'master_replid:' .. ARGV[3], 1, true) then
  return {'HISTORY'}
end
local mark = redis.call('GET', KEYS[1]) or ''
if mark == ARGV[2] then return {'OK'} end
if mark ~= ARGV[1] then return {'STALE', mark} end
if redis.call('EXISTS', KEYS[2]) == 0 then return {'EMPTIED'} end
redis.call('SET', KEYS[1], ARGV[2])
return {'OK'}
`.trim();

/**
 * The watermarks of one lane: raised together, and looked after while nothing else shows that the destination is still the one
 * that it was.
 *
 * A node that was demoted and promoted again behind a connection that held has lost what the node between had not got. Slots
 * with traffic show it, because their marks are not the expected ones; a slot without shows nothing, and a watermark raised over
 * it would hide the loss for ever:
 *
 *     slot 5   unit 1500 applied ── demoted, data of a node that lacks unit 1500, promoted
 *     node     watermark 1000 ─────────────────────────── watermark 1000 ──▶ 3000 says that 1500 is applied
 *
 * So a watermark is raised only where the node's replication id is what it was before the lane read its marks: a server takes a
 * new one whenever its role or its data set changes (Redis replication.c, changeReplicationId, shiftReplicationId), and no
 * id ever comes back. The node itself compares, in the script that raises.
 */
export class Watermarks {
  readonly #names: MarkNames;
  readonly #pool: NodePool;
  readonly #slots: SlotSet;
  readonly #marks: ClusterMarks;
  /** Replication id of each node that the lane ever saw. */
  readonly #histories = new Map<string, string>();
  /** Slot → the node where its mark was seen last. */
  readonly #places = new Map<number, string>();

  /** `map`: where the lane reads its marks. */
  constructor(names: MarkNames, pool: NodePool, slots: SlotSet, marks: ClusterMarks, map: SlotMap) {
    this.#names = names;
    this.#pool = pool;
    this.#slots = slots;
    this.#marks = marks;
    for (const slot of slots) this.#places.set(slot, map.ownerOf(slot)?.name ?? "");
  }

  /** To be called before any mark of the node is read. Throws `Retryable` DST-001, DST-003. */
  async meet(node: ClusterNode): Promise<void> {
    this.#histories.set(node.name, historyOf(await this.#pool.call(node, ["INFO", "replication"])));
  }

  /**
   * Looks whether every node still has the history that the lane met, and every watermark is there, and the mark of every slot that
   * another node serves now. Throws `StaleMark`, `Retryable` DST-001, DST-003, `Halt` DST-002, DST-005. What is on its way to
   * another node is passed over.
   */
  async confirm(sender: GroupSender): Promise<void> {
    await sender.refresh();
    await allOf(this.#nodes(sender).map((node) => this.#confirmHistory(node)));
    await allOf(this.#marks.watermarkSlots.map((slot) => this.#confirmMark(watermark(this.#names, slot), slot, sender)));
    await this.#confirmMoved(sender);
  }

  /** Whether a node serves slots of the lane and no watermark: it has taken them from others. */
  isOneLacking({ map }: GroupSender): boolean {
    const watched = new Set(this.#marks.watermarkSlots.map((slot) => map.ownerOf(slot)?.name));
    return map.nodesOf(this.#slots).some((name) => !watched.has(name));
  }

  /**
   * Says on every node that the whole lane is applied up to `target`. False when a slot that a watermark stands by is on its
   * way, or its node can't write for a moment: then the same is to be asked again. Throws as `confirm` does.
   */
  async raise(target: Position, sender: GroupSender): Promise<boolean> {
    const { judged: _, ...plain } = target;
    const text = formatMark(plain);
    for (const node of this.#nodes(sender)) if (!this.#histories.has(node.name)) await this.meet(node);
    if (!(await this.#confirmMoved(sender))) return false;
    const slots = new Set([...sender.map.lowestOnEach(this.#slots), ...this.#marks.watermarkSlots]);
    const isRaised = await allOf([...slots].map((slot) => this.#raiseOne(slot, plain, text, sender)));
    if (!isRaised.includes(false)) return true;
    await sender.refresh();
    return false;
  }

  #nodes({ map }: GroupSender): ClusterNode[] {
    return map.lowestOnEach(this.#slots).flatMap((slot) => map.ownerOf(slot) ?? []);
  }

  async #confirmHistory(node: ClusterNode): Promise<boolean> {
    const known = this.#histories.get(node.name);
    const found = historyOf(await this.#pool.call(node, ["INFO", "replication"]));
    // A node that took slots of the lane while it was open.
    if (known === undefined) this.#histories.set(node.name, found);
    else if (known !== found) throw this.#otherHistory(node);
    return true;
  }

  /** False when some of them are on their way. */
  async #confirmMoved(sender: GroupSender): Promise<boolean> {
    const moved = [...this.#slots].filter((slot) => sender.map.ownerOf(slot)?.name !== this.#places.get(slot));
    const looks = moved.map(async (slot) => {
      const place = sender.map.ownerOf(slot)?.name ?? "";
      const isThere = await this.#confirmMark(slotMark(this.#names, slot), slot, sender);
      if (isThere) this.#places.set(slot, place);
      return isThere;
    });
    return !(await allOf(looks)).includes(false);
  }

  /** `key`: the watermark that stands by the slot, or the slot's own mark. */
  async #confirmMark(key: string, slot: number, sender: GroupSender): Promise<boolean> {
    const isOwn = key === slotMark(this.#names, slot);
    const expected = isOwn ? this.#marks.textOf(slot) : this.#marks.watermarkTextOf(slot);
    const reply = await this.#ask(slot, sender, key, ["GET", key]);
    if (reply === POSTPONED) return false;
    const found = Buffer.isBuffer(reply) ? reply.toString("latin1") : null;
    if (found !== expected) throw this.#stale(isOwn ? "mark" : "watermark", slot, expected, found);
    return true;
  }

  async #raiseOne(slot: number, target: Position, text: string, sender: GroupSender): Promise<boolean> {
    const [key, markKey] = [watermark(this.#names, slot), slotMark(this.#names, slot)];
    const node = sender.map.ownerOf(slot);
    const history = node === null ? "" : (this.#histories.get(node.name) ?? "");
    const expected = this.#marks.watermarkTextOf(slot) ?? "";
    const reply = await this.#ask(slot, sender, key, ["EVAL", RAISE, 2, key, markKey, expected, text, history]);
    if (reply === POSTPONED) return false;
    const [word, found] = Array.isArray(reply) ? reply.map(String) : [];
    if (word === "STALE") throw this.#stale("watermark", slot, expected, found ?? null);
    if (word === "EMPTIED") throw this.#stale("mark", slot, this.#marks.textOf(slot), null);
    if (word === "HISTORY" && node !== null) throw this.#otherHistory(node);
    this.#marks.watermarkMoved(slot, text, target);
    return true;
  }

  /** The answer of the node that serves `slot`; `POSTPONED` when it does not any more, or can't for now. */
  async #ask(
    slot: number,
    sender: GroupSender,
    key: string,
    command: readonly (string | number)[],
  ): Promise<Reply | typeof POSTPONED> {
    const node = sender.map.ownerOf(slot);
    if (node === null) return POSTPONED;
    const connection = await this.#pool.connection(node);
    try {
      return await connection.call(command);
    } catch (cause) {
      const verdict = cause instanceof ReplyError ? verdictOf(cause.message) : "halt";
      if (verdict === "redirect" || verdict === "wait") return POSTPONED;
      throw markFault(`${this.#names.group} (${node.name})`, key, cause);
    }
  }

  #stale(what: "mark" | "watermark", slot: number, expected: string | null, found: string | null): StaleMark {
    return new StaleMark(`${this.#names.group}, ${what} of slot ${slot}`, expected, found);
  }

  #otherHistory({ name }: ClusterNode): Retryable {
    const { group } = this.#names;
    const what = `${name} of ${group} has another history than when the lane read its marks: they are read anew`;
    return new Retryable("DST-001", `destination ${group}`, what);
  }
}

/** Of what could not be asked where it was looked for. */
const POSTPONED = Symbol("postponed");

/** As `Promise.all`, but nothing is under way any more when it rejects. */
async function allOf<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

/** master_replid of INFO replication (since Redis 4.0); empty where there is none. */
function historyOf(info: Reply): string {
  return /^master_replid:([0-9a-f]{40})/m.exec(String(info))?.[1] ?? "";
}
