import { comparePositions, OWN_KEY_PREFIX, parseMark, type Position } from "@sluice/wire";

/** One command of a replication stream. */
export interface StreamCommand {
  /** In capitals. */
  readonly name: string;
  readonly args: readonly Buffer[];
}

interface MarkWrite {
  readonly key: string;
  readonly position: Position;
}

/** Violations that are kept in words; all are counted. */
const MOST_VIOLATIONS = 20;
/** How MIGRATE's keys arrive (RESTORE-ASKING from a node of a cluster). */
const ARRIVALS: ReadonlySet<string> = new Set(["RESTORE", "RESTORE-ASKING"]);
/** The mark of a lane: in a cluster, its watermark on one node. */
const WATERMARK = /:s\d+\.\d+$/;
/** What a stream carries besides data. */
const CARRIES_NOTHING: ReadonlySet<string> = new Set(["PING", "SELECT", "REPLCONF", "MULTI", "EXEC"]);

/**
 * The marks of one node of a destination as its replication stream shows them, which is the node's surviving history: where a
 * failover cut writes off, the stream of the successor never had them.
 *
 * A transition is a mark's SET together with the data of its transaction (Redis makes one of every script that writes twice). In
 * every history each transition is there once, so a mark only grows, and what grows nothing brings no data along:
 *
 *     (epoch, copy, phase) never goes back            nobody writes for a history that a later copy has ended
 *     the offset in phase `live` never goes back      no unit is taken back or applied behind its successor
 *     the same live offset again comes without data   no unit is applied twice
 *
 * A watermark of a cluster may go back within its epoch: no unit depends on it, and a lower one only makes more be looked at again.
 *
 * While a copy is written its mark stands still at offset 0: values are written by it any number of times.
 */
export class MarkHistory {
  readonly name: string;
  readonly violations: string[] = [];
  violationCount = 0;
  /** SETs of marks that brought one further. */
  transitions = 0;
  /** Commands other than those on marks. */
  dataCommands = 0;
  /** Times that a watermark of a cluster was taken back in its epoch. */
  setBacks = 0;
  /** The highest epoch seen. */
  epoch = 0;
  readonly #marks = new Map<string, Position>();
  #isInTransaction = false;
  #writes: MarkWrite[] = [];
  #data = 0;

  readonly #isCluster: boolean;

  /** `isCluster`: marks of lanes are watermarks there. */
  constructor(name: string, isCluster: boolean) {
    this.name = name;
    this.#isCluster = isCluster;
  }

  /** The node begins anew with another's content: these marks. */
  restart(marks: ReadonlyMap<string, string>): void {
    this.#marks.clear();
    this.#isInTransaction = false;
    this.#writes = [];
    this.#data = 0;
    for (const [key, text] of marks) this.#marks.set(key, parseMark(text));
  }

  take({ name, args }: StreamCommand): void {
    const key = args[0]?.toString("latin1") ?? "";
    if (name === "MULTI") this.#isInTransaction = true;
    else if (name === "FLUSHALL" || name === "FLUSHDB") this.#marks.clear();
    else if (key.startsWith(OWN_KEY_PREFIX) && !key.includes("}:tmp:")) this.#takeMark(name, key, args);
    else if (!CARRIES_NOTHING.has(name)) this.#data++;
    if (name === "EXEC") this.#isInTransaction = false;
    if (!this.#isInTransaction) this.#close();
  }

  #takeMark(name: string, key: string, args: readonly Buffer[]): void {
    if (name === "SET") this.#writes.push({ key, position: parseMark(args[1]?.toString("latin1") ?? "") });
    else if (name === "DEL" || name === "UNLINK") for (const gone of args) this.#marks.delete(gone.toString("latin1"));
    else if (ARRIVALS.has(name)) this.#marks.delete(key);
    else this.#violate(`${name} on mark ${key}`);
  }

  /** A slot came to this node, with its mark. */
  arrived(key: string, text: string): void {
    this.#marks.set(key, parseMark(text));
  }

  #close(): void {
    const { dataCommands } = this;
    this.dataCommands += this.#data;
    for (const write of this.#writes) this.#judge(write, this.dataCommands > dataCommands);
    this.#writes = [];
    this.#data = 0;
  }

  #judge({ key, position }: MarkWrite, withData: boolean): void {
    const before = this.#marks.get(key);
    this.#marks.set(key, position);
    this.epoch = Math.max(this.epoch, position.epoch);
    const order = before === undefined ? 1 : comparePositions(position, before);
    if (order > 0) this.transitions++;
    const told = `${key}: ${describe(before)} to ${describe(position)}`;
    if (order < 0 && this.#isCluster && WATERMARK.test(key) && position.epoch === before?.epoch) this.setBacks++;
    else if (order < 0) this.#violate(`a mark went back: ${told}`);
    if (order === 0 && withData && position.phase === "live") this.#violate(`applied twice: ${told}`);
  }

  #violate(text: string): void {
    this.violationCount++;
    if (this.violations.length < MOST_VIOLATIONS) this.violations.push(`${this.name}: ${text}`);
  }
}

function describe(position: Position | undefined): string {
  if (position === undefined) return "none";
  const { epoch, copy, phase, shard, offset } = position;
  return `epoch ${epoch}, copy ${copy}, ${phase}, ${shard}, offset ${offset}`;
}
