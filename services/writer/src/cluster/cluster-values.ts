import { encodeCommand, keySlot, ReplyError, slotTag, type CommandArgument, type Connection, type Reply } from "@sluice/redis";
import { Halt, Retryable, type Fault } from "@sluice/runtime";
import { attemptsKey, formatMark, keptName, NO_EXPIRY, parseKeptName, type Position, type SlotSet } from "@sluice/wire";
import { destinationFault, UNLINK_SINCE } from "../apply/standalone-destination.ts";
import { verdictOf } from "../apply/verdict.ts";
import type { PartedValue, SnapshotValue, ValueBuild } from "../lane-destination.ts";
import { joinedCommand } from "../repair/image-commands.ts";
import { ElementBuild } from "../snapshot/element-build.ts";
import { readLeftovers } from "../snapshot/leftovers.ts";
import { isLoose, type ValueCommand } from "../snapshot/value-commands.ts";
import type { OwnedCommand, ValueForms } from "../snapshot/value-forms.ts";
import { SlotGroup, type GroupCommand } from "./apply-script.ts";
import { slotMark, type ClusterMarks, type MarkNames } from "./cluster-marks.ts";
import { GroupBook } from "./group-book.ts";
import { groupCommand } from "./group-plan.ts";
import { failedBehindMark, type GroupFailure, type GroupSender } from "./group-sender.ts";
import type { NodePool } from "./node-pool.ts";
import type { ClusterNode, SlotMap } from "./slot-map.ts";

/** The lane that a copy is written for. */
export interface CopiedLane {
  readonly names: MarkNames & { readonly label: string };
  readonly slots: SlotSet;
  readonly marks: ClusterMarks;
  readonly sender: GroupSender;
  readonly pool: NodePool;
  readonly forms: ValueForms;
  /** The mark of a slot that the lane's running copy has claimed and not finished; null for any other. */
  readonly copyingMark: (slot: number) => Position | null;
  /** What failed; see `GroupSender.send`. */
  readonly send: (groups: readonly SlotGroup[]) => Promise<GroupFailure[]>;
}

/** Writes the entries of a copy into a cluster, each with its slot's mark. */
export class ClusterValues {
  readonly #lane: CopiedLane;

  constructor(lane: CopiedLane) {
    this.#lane = lane;
  }

  /** As `LaneDestination.applyValues`. A RESTORE that a node refuses is tried in another form. */
  async apply(values: readonly SnapshotValue[]): Promise<number> {
    const { forms, marks, send, copyingMark } = this.#lane;
    for (let isFirst = true; ; isFirst = false) {
      forms.begin();
      const owners = new Map<GroupCommand, OwnedCommand>();
      const groups = new GroupBook(this.#lane.names, marks);
      let base: Position | null = null;
      for (const value of values) {
        if (isLoose(value.rows, value.row)) {
          if (isFirst) await this.#everywhere(forms.commandsOf(value));
          continue;
        }
        base = this.#add(value, groups, owners) ?? base;
      }
      const failures = base === null ? [] : await send(groups.close(base));
      for (const { group, mark } of failures) {
        const standing = copyingMark(group.slot);
        if (standing !== null) marks.moved(group.slot, mark, standing);
      }
      const failure = failures.find((one) => !this.#learns(one, owners));
      if (failure !== undefined) throw failedBehindMark(this.#lane.names.group, failure);
      if (failures.length === 0) {
        forms.settled();
        return groups.bytes;
      }
    }
  }

  /** As `LaneDestination.build`. */
  async build(value: PartedValue): Promise<ValueBuild | null> {
    const { rows, row } = value;
    this.#requireFirstDatabase(rows.dbs[row] as number);
    const slot = rows.slots[row] as number;
    const standing = this.#lane.copyingMark(slot);
    if (standing === null) return null;
    this.#lane.forms.begin();
    return ClusterBuild.begin(this.#lane, value, slot, standing);
  }

  /** Adds the value to its slot's groups; null where the slot takes nothing of this copy. */
  #add(value: SnapshotValue, groups: GroupBook, owners: Map<GroupCommand, OwnedCommand>): Position | null {
    const { rows, row, key } = value;
    this.#requireFirstDatabase(rows.dbs[row] as number);
    const slot = rows.slots[row] as number;
    const standing = this.#lane.copyingMark(slot);
    if (standing === null) return null;
    let temporary: CommandArgument | undefined;
    let isDelicate = false;
    const commands = this.#lane.forms.commandsOf(value).map((command) => {
      if (command.before[0] === "RENAME") temporary = command.before[1];
      // No script may run it; a stream's consumers need it before 6.2.
      isDelicate ||= command.before[0] === "XREADGROUP";
      const encoded = groupCommand(joinedCommand(command));
      owners.set(encoded, { value, command });
      return encoded;
    });
    const keys = Buffer.isBuffer(temporary) ? [key, temporary] : [key];
    const emptied = Buffer.isBuffer(temporary) ? [temporary.toString("latin1")] : [];
    groups.add({ slot, end: 0, commands, keys, emptied, isDelicate }, standing.offset);
    return standing;
  }

  #learns({ group, failed }: GroupFailure, owners: ReadonlyMap<GroupCommand, OwnedCommand>): boolean {
    const owned = failed.indexes.flatMap((index) => {
      const command = group.commands[index];
      return command === undefined ? [] : (owners.get(command) ?? []);
    });
    return this.#lane.forms.learns(owned, () => failed.error);
  }

  #requireFirstDatabase(db: number): void {
    if (db !== 0) throw new Halt("DST-010", `the copy of lane ${this.#lane.names.label} holds a key of database ${db}`);
  }

  /** What belongs to no slot goes to every primary, as it is: it may be repeated. */
  async #everywhere(commands: readonly ValueCommand[]): Promise<void> {
    for (const node of this.#lane.sender.map.nodes) {
      for (const { before, pieces, after } of commands)
        await this.#lane.pool.call(node, [...before, Buffer.concat(pieces), ...after]);
    }
  }
}

/** One value that comes in pieces, in its slot: built beside everything else, and put in its place by a transaction with the slot's mark. */
class ClusterBuild implements ValueBuild {
  readonly #lane: CopiedLane;
  readonly #key: Buffer;
  readonly #slot: number;
  readonly #standing: Position;
  readonly #temporary: Buffer;
  readonly #expireAtMs: number;
  readonly #build: ElementBuild;

  private constructor(
    lane: CopiedLane,
    { rows, row, key, pending }: PartedValue,
    slot: number,
    standing: Position,
    temporary: Buffer,
    connection: Connection,
    fault: (cause: unknown) => Fault,
  ) {
    this.#lane = lane;
    this.#key = key;
    this.#slot = slot;
    this.#standing = standing;
    this.#temporary = temporary;
    this.#expireAtMs = lane.forms.expiryOf(rows, row);
    const entry = { db: 0, type: rows.types[row] as number, key, pending };
    this.#build = new ElementBuild(connection, entry, temporary, lane.forms, fault);
  }

  static async begin(lane: CopiedLane, value: PartedValue, slot: number, standing: Position): Promise<ClusterBuild> {
    const { forms, pool, sender, names } = lane;
    const temporary = forms.temporary(slot, forms.nextAttempt());
    await callSlot(lane, firstOf(lane.slots), ["SADD", attemptsOf(lane), keptName(0, temporary)]);
    const node = ownerOf(names.group, sender.map, slot);
    const connection = await pool.connection(node);
    const fault = (cause: unknown): Fault => movingFault(names.group, node, cause);
    return new ClusterBuild(lane, value, slot, standing, temporary, connection, fault);
  }

  async push(piece: Buffer): Promise<void> {
    await this.#build.push(piece);
  }

  async finish(): Promise<number> {
    const { names, marks, forms, send } = this.#lane;
    const { questions, judge, temporary } = await this.#build.finish();
    const next = formatMark(this.#standing);
    const group = new SlotGroup(this.#slot, slotMark(names, this.#slot), marks.textOf(this.#slot), next);
    group.isDelicate = true;
    group.guard = { questions, judge };
    const commands = temporary === null ? [["DEL", this.#key]] : this.#place(temporary);
    for (const command of commands) group.add(groupCommand(encodeCommand(command)));
    group.addKey(this.#key);
    const [failure] = await send([group]);
    if (failure !== undefined) throw failedBehindMark(names.group, failure);
    marks.moved(this.#slot, next, this.#standing);
    forms.settled();
    await callSlot(this.#lane, firstOf(this.#lane.slots), ["SREM", attemptsOf(this.#lane), keptName(0, this.#temporary)]);
    return this.#build.bytes + group.bytes;
  }

  #place(temporary: Buffer): CommandArgument[][] {
    const isLasting = this.#expireAtMs === NO_EXPIRY;
    // The expiry behind it, see `valueCommands`.
    return [["RENAME", temporary, this.#key], isLasting ? ["PERSIST", this.#key] : ["PEXPIREAT", this.#key, this.#expireAtMs]];
  }
}

/** Deletes what attempts of the lane that broke off have left. */
export async function removeClusterLeftovers(
  lane: Pick<CopiedLane, "names" | "slots" | "pool" | "forms">,
  map: SlotMap,
): Promise<void> {
  const { names, slots, pool, forms } = lane;
  const slot = firstOf(slots);
  const node = ownerOf(names.group, map, slot);
  const connection = await pool.connection(node);
  const left = await readLeftovers(connection, attemptsOf(lane)).catch((cause: unknown) => {
    throw movingFault(names.group, node, cause);
  });
  const remove = forms.options.server.version >= UNLINK_SINCE ? "UNLINK" : "DEL";
  for (const name of left ?? []) {
    const kept = parseKeptName(name);
    if (kept !== null) await callNode(names.group, pool, ownerOf(names.group, map, keySlot(kept.key)), [remove, kept.key]);
    await callNode(names.group, pool, node, ["SREM", attemptsOf(lane), name]);
  }
}

function firstOf(slots: SlotSet): number {
  for (const slot of slots) return slot;
  throw new Error("a lane has slots");
}

function attemptsOf({ names, slots }: Pick<CopiedLane, "names" | "slots">): string {
  const { pipeline, group, shard, lane } = names;
  return attemptsKey(slotTag(firstOf(slots)), pipeline, group, shard, lane);
}

function ownerOf(group: string, map: SlotMap, slot: number): ClusterNode {
  const node = map.ownerOf(slot);
  if (node === null) throw new Retryable("DST-003", `destination ${group}`, `no node of ${group} serves slot ${slot}`);
  return node;
}

async function callSlot(lane: CopiedLane, slot: number, command: readonly CommandArgument[]): Promise<Reply> {
  const { names, pool, sender } = lane;
  return callNode(names.group, pool, ownerOf(names.group, sender.map, slot), command);
}

async function callNode(group: string, pool: NodePool, node: ClusterNode, command: readonly CommandArgument[]): Promise<Reply> {
  const connection = await pool.connection(node);
  return connection.call(command).catch((cause: unknown) => {
    throw movingFault(group, node, cause);
  });
}

/** As `destinationFault`; a slot that moves away takes what was built half with it, so the lane begins the value anew. */
function movingFault(group: string, node: ClusterNode, cause: unknown): Fault {
  if (!(cause instanceof ReplyError) || verdictOf(cause.message) !== "redirect") {
    return destinationFault(`${group} (${node.name})`, cause);
  }
  const what = `a slot of ${group} moves away from ${node.name}: what was being built there begins anew`;
  return new Retryable("DST-003", `destination ${group}`, what);
}
