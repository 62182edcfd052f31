import type { PlanOptions } from "./scenario/plan.ts";

/** A change of a source file: `find` stands in it exactly once. */
export interface Change {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** A hole that was closed, opened again: the simulator must notice. */
export interface Mutant {
  readonly name: string;
  /** The hole, by the number that failure analysis gives it, and what opens it. */
  readonly what: string;
  readonly changes: readonly Change[];
  /** Worlds in which it shows soonest; default: all. */
  readonly worlds?: PlanOptions;
  /** Hundreds of worlds pass before one shows it. */
  readonly isRare?: true;
}

const CHAIN = "services/writer/src/progress/lane-chain.ts";
const PLACE = "services/writer/src/progress/log-place.ts";
const PUBLISHER = "services/ingest/src/publish/lane-publisher.ts";
const RESUME = "services/ingest/src/lanes/resume-point.ts";
const COPY = "services/writer/src/snapshot/snapshot-phase.ts";
const TRANSACTION = "services/writer/src/apply/watched-transaction.ts";
const SCRIPT = "services/writer/src/cluster/apply-script.ts";
const MARKS = "services/writer/src/cluster/cluster-marks.ts";

const MOVES = "destination slots move";

const intoOneServer: PlanOptions = { layouts: ["standalone to standalone", "cluster to standalone"] };
const intoCluster: PlanOptions = { layouts: ["standalone to cluster", "cluster to cluster"] };

export const MUTANTS: readonly Mutant[] = [
  {
    name: "gaps-pass",
    what: "H1, H7: a batch that continues behind the position is applied as if nothing were missing, and the log is not looked at first",
    changes: [
      {
        file: CHAIN,
        find: 'if (batch.previous > this.#offset) return { kind: "gap", expected: this.#offset, found: batch.previous };\n    const',
        replace: "const",
      },
      { file: PLACE, find: "if (isWhole && (isThere || isTrimmed)) {", replace: "if (isWhole || !isWhole) {" },
    ],
    worlds: { kinds: ["bus loses its tail"] },
  },
  {
    name: "overlaps-are-applied",
    what: "H1, H5: a batch that ends at or before the position is applied again",
    changes: [
      {
        file: CHAIN,
        find: "return batch.last <= this.#offset ? SKIP : APPLY;",
        replace: "return batch.last < 0 ? SKIP : APPLY;",
      },
    ],
    worlds: { ...intoOneServer, kinds: ["bus loses its tail"] },
  },
  {
    name: "zombies-publish",
    isRare: true,
    what: "H2, H4: who has lost a shard goes on, a batch is stored behind whatever the lane's last message is, and terms do not count",
    changes: [
      {
        file: "services/ingest/src/source/intake.ts",
        find: "const whileLinked = AbortSignal.any([signal, over.signal]);",
        replace: "const whileLinked = over.signal;",
      },
      {
        file: "services/ingest/src/shard-report.ts",
        find: "if (current?.value.term !== this.#record.term || current.value.instance !== this.#record.instance) {",
        replace: "if (current === null) {",
      },
      {
        file: PUBLISHER,
        find: "const result = await log.append(subject, message, sequence);",
        replace: "const result = await log.append(subject, message, (await log.tail(subject))?.sequence ?? 0);",
      },
      {
        file: PUBLISHER,
        find: "const known = isFirstTry ? null : await findTail(log, subject, message, sequence);",
        replace: "const known = null as number | null;",
      },
      {
        file: CHAIN,
        find: "if (batch.epoch < this.#epoch || (batch.epoch === this.#epoch && batch.term < this.#term)) return SKIP;",
        replace: "if (batch.epoch < this.#epoch) return SKIP;",
      },
      {
        file: CHAIN,
        find: "batch.kind === BatchKind.fence && batch.epoch === this.#epoch && batch.term < this.#term",
        replace: "batch.term < 0",
      },
    ],
    worlds: { kinds: ["suspend"], isPatient: true },
  },
  {
    name: "resume-from-the-highest",
    what: "H5: the source is asked for what follows the lane that is ahead, not the one that is behind",
    changes: [{ file: RESUME, find: "offset: lowest.last, db", replace: "offset: highest, db" }],
    worlds: { ...intoCluster, kinds: ["kill", "bus answers get lost", "everything is slow"] },
  },
  {
    name: "database-forgotten",
    what: "H35: a resumed stream begins in database 0",
    changes: [{ file: RESUME, find: "db: lowest.db, highest", replace: "db: 0, highest" }],
    worlds: { layouts: ["standalone to standalone"], kinds: ["kill", "cut source"] },
  },
  {
    name: "half-copies-continue",
    what: "H23: an epoch whose copy was not finished in every lane is continued, and writers wait for its end",
    changes: [
      {
        file: RESUME,
        find: "if (snap.kind !== BatchKind.snapshotEnd || snap.epoch !== live.epoch) return null;",
        replace: "",
      },
      { file: COPY, find: 'throw this.#incomplete("the bus has lost its end");', replace: "return;" },
    ],
    worlds: { kinds: ["kill", "cut source", "bus restarts"] },
  },
  {
    name: "lanes-ahead-are-skipped",
    what: "H4: a promoted replica is continued although a lane holds more than its history has of the former one",
    changes: [
      {
        file: "services/ingest/src/source/continuation.ts",
        find: "if (point.highest >= facts.secondReplOffset) {",
        replace: "if (point.highest < 0) {",
      },
    ],
    worlds: { ...intoCluster, kinds: ["source fails over", "source splits", "everything is slow", "bus answers get lost"] },
  },
  {
    name: "epochs-repeat",
    what: "H6: a new copy is given the number of the one before",
    changes: [
      {
        file: "services/ingest/src/epoch.ts",
        find: "Math.max(current?.value.epoch ?? 0, known) + 1;",
        replace: "Math.max(current?.value.epoch ?? 0, known, 1);",
      },
    ],
    worlds: { kinds: ["kill", "source restarts", "source fails over"] },
  },
  {
    name: "mark-unwatched",
    isRare: true,
    what: "H15, H17: the mark is compared, but not watched until EXEC",
    changes: [
      {
        file: TRANSACTION,
        find: 'this.#rearm = Buffer.concat([encodeCommand(["WATCH", markKey]),',
        replace: 'this.#rearm = Buffer.concat([encodeCommand(["EXISTS", markKey]),',
      },
    ],
    worlds: { ...intoOneServer, kinds: ["suspend", "kill", "part from destination"], isPatient: true },
  },
  {
    name: "nil-is-success",
    what: "H17: a transaction that EXEC refused because the mark had moved counts as applied, and the mark as set",
    changes: [
      { file: TRANSACTION, find: 'if (this.#isNil) return { outcome: "stale", found: this.mark };', replace: "" },
      { file: TRANSACTION, find: "this.#mark = replies.mark;", replace: "this.#mark = next;" },
    ],
    worlds: { ...intoOneServer, kinds: ["destination is emptied"], isBusy: true },
  },
  {
    name: "script-does-not-compare",
    what: "H13, H17: the apply script runs whatever the slot's mark says",
    changes: [{ file: SCRIPT, find: "if mark ~= ARGV[1] then return {'STALE', mark} end", replace: "" }],
    worlds: intoCluster,
  },
  {
    name: "refused-is-dropped",
    what: "H14: a group that a node refused, and those behind it on the same slot, are not sent again",
    changes: [
      {
        file: "services/writer/src/cluster/group-sender.ts",
        find: "        held.add(group.slot);\n        left.push(group);",
        replace: "        held.add(group.slot);",
      },
      {
        file: "services/writer/src/cluster/group-sender.ts",
        find: 'else if (answer.kind === "stale" && held.has(group.slot)) left.push(group);',
        replace: 'else if (answer.kind === "stale" && held.has(group.slot)) continue;',
      },
    ],
    worlds: { ...intoCluster, kinds: [MOVES, "destination refuses"], isTogether: true, isBusy: true },
  },
  {
    name: "watermarks-do-not-count",
    isRare: true,
    what: "H10: a lane in a cluster goes on from its newest mark, whatever other nodes have lost",
    changes: [
      {
        file: MARKS,
        find: "const lowest = this.#lowestWatermark(history);",
        replace: "const lowest = history as Position | null;",
      },
    ],
    worlds: { ...intoCluster, kinds: ["destination fails over"], isBusy: true },
  },
  {
    name: "torn-slots-are-believed",
    isRare: true,
    what: "case 52: slots that are on their way when a node of the destination fails over are taken for whole",
    changes: [
      {
        file: "services/router/src/topology/destination-watch.ts",
        find: "if (doubtful.size === 0) return;",
        replace: "if (doubtful.size >= 0) return;",
      },
    ],
    worlds: { ...intoCluster, kinds: [MOVES, "destination fails over"], isTogether: true },
  },
  {
    name: "marks-name-no-history",
    isRare: true,
    what: "H7: a writer that begins anew takes the message at its mark for the one that it applied, whichever history filled the log again",
    changes: [
      {
        file: "services/writer/src/progress/find-place.ts",
        find: "applied.replidAt(epoch, reached) ?? reachedIn",
        replace: "applied.replidAt(epoch, reached)",
      },
    ],
    worlds: { kinds: ["source fails over", "bus loses its tail", "kill"], isTogether: true },
  },
  {
    name: "copy-over-live-data",
    what: "H20: in a lane of which only some slots are copied anew, the copy is written over slots that are live as well",
    changes: [
      {
        file: "services/writer/src/cluster/cluster-lane.ts",
        find: 'return isOwn && position.phase === "snap" ? position : null;',
        replace: "return isOwn ? position : null;",
      },
    ],
    worlds: { ...intoCluster, kinds: ["destination is emptied"] },
  },
  {
    name: "nothing-swept",
    what: "H22: keys that the copy does not hold stay",
    changes: [{ file: COPY, find: "    if (held !== null) {", replace: "    if (held !== null && held.size < 0) {" }],
  },
  {
    name: "damaged-copies-pass",
    what: "H22: the checksum of an RDB is not compared before the copy is closed",
    changes: [
      {
        file: "libs/redis/src/rdb/rdb-reader.ts",
        find: "if (stored !== 0n && !this.#crc.matches(cursor.bytes, at)) {",
        replace: "if (stored === 0n && !this.#crc.matches(cursor.bytes, at)) {",
      },
    ],
    worlds: { kinds: ["source sends damaged copies"] },
  },
  {
    name: "no-grace",
    what: "H19: the destination expires keys when the source does, whatever renews them meanwhile",
    changes: [
      {
        file: "services/writer/src/writer-service.ts",
        find: "shift: (expireAtMs) => expiryWithGrace(expireAtMs, graceMs),",
        replace: "shift: (expireAtMs) => expireAtMs,",
      },
    ],
  },
  {
    name: "floor-forgotten",
    what: "a lane begins the copy of an epoch that its shard will not continue, and waits for itself",
    changes: [{ file: "services/writer/src/lane-writer.ts", find: "if (floor > 0) this.#voidEpoch = floor;", replace: "" }],
    worlds: { ...intoOneServer, kinds: ["bus loses its tail", "destination is emptied"] },
  },
];
