import type { Bus } from "@sluice/bus";
import { encodeCommand, keySlot } from "@sluice/redis";
import {
  BatchKind,
  ChangeFlag,
  ChangeRows,
  copyOffsetBody,
  encodeBatch,
  epochRecord,
  liveSubject,
  recordKey,
  snapSubject,
  SnapshotRows,
  type Batch,
} from "@sluice/wire";

const STRING_TYPE = 0;

/** Ends a unit at offset `end`; several commands are a transaction. */
export interface Unit {
  readonly end: number;
  readonly commands: readonly string[];
  readonly db?: number;
  readonly flags?: number;
}

/** Puts batches into a pipeline's one lane as an ingest would, and as it should not. */
export class ScriptedLane {
  readonly pipeline: string;
  epoch = 1;
  term = 1;
  replid = "r";
  /** Number of the copy that entries are put into. */
  copy = 1;
  /** The copy is on its way beside the changes. */
  besideCopy = false;
  readonly #bus: Bus;
  readonly #tails = new Map<string, number>();

  constructor(bus: Bus, pipeline: string) {
    this.#bus = bus;
    this.pipeline = pipeline;
  }

  async append(fields: Partial<Batch>, damage = false): Promise<void> {
    const head = {
      kind: BatchKind.changes,
      shard: "s0",
      epoch: this.epoch,
      term: this.term,
      previous: 0,
      last: 0,
      db: 0,
      replid: this.replid,
      rows: null,
      body: Buffer.alloc(0),
      part: null,
      besideCopy: this.besideCopy && fields.kind === undefined,
    };
    const isSnapshot = fields.kind === BatchKind.snapshot || fields.kind === BatchKind.snapshotEnd;
    const subject = isSnapshot ? snapSubject(this.pipeline, this.copy, "s0", 0) : liveSubject(this.pipeline, "s0", 0);
    const message = encodeBatch({ ...head, ...fields });
    if (damage) message[20] = (message[20] ?? 0) ^ 1;
    const result = await this.#bus.stream(this.pipeline).append(subject, message, this.#tails.get(subject) ?? 0);
    if (result.outcome !== "stored") throw new Error(result.outcome);
    this.#tails.set(subject, result.sequence);
  }

  async fence(epoch: number, term: number, offset: number): Promise<void> {
    [this.epoch, this.term] = [epoch, term];
    await this.#bus.records.put(recordKey.epoch(this.pipeline), epochRecord, { epoch });
    await this.append({ kind: BatchKind.fence, previous: offset, last: offset });
  }

  async changes(previous: number, ...units: readonly Unit[]): Promise<void> {
    const rows = new ChangeRows(1);
    const bodies: Buffer[] = [];
    for (const { end, commands, db = 0, flags = 0 } of units) {
      for (const [index, line] of commands.entries()) {
        const args = line.split(" ");
        const body = encodeCommand(args);
        const edge = (index === 0 ? ChangeFlag.first : 0) | (index === commands.length - 1 ? ChangeFlag.last : 0);
        rows.add(body.length, args.length, end - previous, keySlot(Buffer.from(args[1] ?? "")), db, flags | edge, 4);
        bodies.push(body);
      }
    }
    await this.append({ previous, last: units.at(-1)?.end ?? previous, rows, body: Buffer.concat(bodies) });
  }

  /** String keys of a copy, `db:name` → value. */
  async copied(previous: number, keys: Readonly<Record<string, string>>): Promise<void> {
    const rows = new SnapshotRows(1);
    const bodies: Buffer[] = [];
    for (const [place, value] of Object.entries(keys)) {
      const [db = "", name = ""] = place.split(":");
      const body = Buffer.concat([Buffer.from(name), Buffer.of(value.length), Buffer.from(value)]);
      rows.add({
        expireAtMs: -1,
        length: body.length,
        keyLength: name.length,
        access: 0,
        slot: keySlot(Buffer.from(name)),
        db: Number(db),
        type: STRING_TYPE,
        accessKind: 0,
      });
      bodies.push(body);
    }
    await this.append({ kind: BatchKind.snapshot, previous, last: previous + rows.count, rows, body: Buffer.concat(bodies) });
  }

  /** `offset`: for which the copy stands, where its end says it. */
  async copyEnds(keys: number, offset?: number): Promise<void> {
    const body = offset === undefined ? {} : { body: copyOffsetBody(offset) };
    await this.append({ kind: BatchKind.snapshotEnd, previous: keys, last: keys, ...body });
  }

  /** A lane that is live at offset 100, with an empty copy. */
  async live(): Promise<void> {
    await this.fence(1, 1, 100);
    await this.copyEnds(0);
  }
}
