import { Halt } from "@sluice/runtime";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { KeptKeys } from "../keep/kept-keys.ts";
import { KeyspaceModel } from "./keyspace-model.sample.ts";
import { Projection } from "./projection.ts";
import { sliceOf, unitsIn, type SampleCommand } from "./unit-slice.sample.ts";

const origin = { label: "main.s0.0", batch: { previous: 100, last: 190, part: null } };

/** `names`: `db:key` of the destination. */
function keeping(names: readonly string[], base: Projection | null = null): Projection {
  const kept = new KeptKeys("main.s0.0");
  for (const name of names) kept.add(Number(name[0]), Buffer.from(name.slice(2)));
  return Projection.keeping(base, kept);
}

function command(text: string): SampleCommand {
  const blank = text.indexOf(" ");
  return { db: Number(text.slice(0, blank)), line: text.slice(blank + 1) };
}

function left(projection: Projection, ...lines: readonly string[]): string[] {
  const slice = sliceOf(...lines.map((line) => [command(line)]));
  return unitsIn(projection.project(slice, origin)).flatMap(({ commands }) => commands.map(({ db, line }) => `${db} ${line}`));
}

function catching(run: () => unknown): Halt | null {
  try {
    run();
  } catch (cause) {
    if (cause instanceof Halt) return cause;
    throw cause;
  }
  return null;
}

// Mutation seen to fail it: projection.ts, `project` without its first line (a slice is read that need not be).
test("where nothing is kept a slice stays as it is, unread, and functions and flushes pass", () => {
  const slice = sliceOf([{ db: 0, line: "FLUSHALL" }], [{ db: 3, line: "EVAL return 0" }]);
  const unread = { ...slice, body: Buffer.alloc(0) };
  expect(keeping([]).project(unread, origin)).toBe(unread);
  expect(left(keeping(["3:k"]), "1 FLUSHDB", "0 FUNCTION FLUSH", "1 SWAPDB 1 2")).toHaveLength(3);
  // The names stand in database 0.
  expect(catching(() => left(keeping(["3:k"]), "0 FLUSHDB"))?.code).toBe("PIP-015");
});

// Mutations seen to fail it, in command-scope.ts: `#move` asks for one database only; `has` without the database.
test("a kept key is out of the scope of its own database alone; what was passed over for it is counted", () => {
  const projection = keeping(["0:k", "3:m"]);
  expect(left(projection, "0 SET k 1", "3 SET k 1", "0 DEL j k l", "0 RENAME j k", "0 SUNIONSTORE k j l")).toEqual([
    "3 SET k 1",
    "0 DEL j l",
    "0 DEL j",
  ]);
  expect(projection.keptCommands).toBe(4);
  expect(left(projection, "0 MOVE m 3", "0 MOVE m 2", "0 COPY j m DB 3", "0 COPY j m")).toEqual([
    "0 DEL m",
    "0 MOVE m 2",
    "0 COPY j m",
  ]);
});

// Mutations seen to fail it, all in command-scope.ts: the questions for kept keys of FLUSHDB, SFLUSH, FLUSHALL and SWAPDB, each taken out.
test.each([
  ["0 RENAME k j", "1 of its 2 keys are in the scope"],
  ["0 SUNIONSTORE j k l", "2 of its 3 keys are in the scope"],
  ["0 COPY k j", "it copies a key that is not in the scope"],
  ["0 MOVE k 3", "another in the destination"],
  ["0 FLUSHDB", "would be deleted with it"],
  ["0 SFLUSH 0 99", "would be deleted with it"],
  ["7 FLUSHALL", "would be deleted with it"],
  ["7 SWAPDB 0 1", "kept keys into another database"],
  ["0 EVAL return 0", "names no keys may change any"],
])("loud: %s halts where k is kept in database 0", (line, why) => {
  const halt = catching(() => keeping(["0:k"]).project(sliceOf([command(line)]), origin));
  expect(halt?.code).toBe("PIP-015");
  expect(halt?.message).toContain(why);
  expect(left(keeping([]), line)).toHaveLength(1);
});

test("with patterns and numbers of databases, names are those of the destination", () => {
  const base = Projection.of({ databases: [3] }, { databases: { "3": 0 }, keys: { include: ["a*"], exclude: [] } });
  const projection = keeping(["0:a1", "3:a2"], base);
  expect(left(projection, "3 SET a1 x", "3 SET a2 x", "3 SET b1 x", "0 SET a3 x")).toEqual(["0 SET a2 x"]);
  expect(["a1", "a2", "b1"].map((key) => projection.databaseOf(3, Buffer.from(key)))).toEqual([null, 0, null]);
  expect(projection.keptCommands).toBe(1);
});

const KEYS = ["a", "b", "c", "d"];
const db = fc.integer({ min: 0, max: 2 });
const key = fc.constantFrom(...KEYS);
const line = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(key, fc.integer({ min: 0, max: 99 })).map((args) => `SET ${args.join(" ")}`) },
  { weight: 2, arbitrary: fc.array(key, { minLength: 1, maxLength: 3 }).map((keys) => `DEL ${keys.join(" ")}`) },
  { weight: 2, arbitrary: fc.array(key, { minLength: 1, maxLength: 3 }).map((keys) => `MSET ${keys.join(" 7 ")} 7`) },
  { weight: 3, arbitrary: fc.tuple(key, db).map((args) => `MOVE ${args.join(" ")}`) },
  { weight: 2, arbitrary: fc.tuple(key, key).map((args) => `RENAME ${args.join(" ")}`) },
  { weight: 2, arbitrary: fc.tuple(key, key, db).map(([from, to, target]) => `COPY ${from} ${to} DB ${target} REPLACE`) },
  { weight: 1, arbitrary: fc.tuple(db, db).map((args) => `SWAPDB ${args.join(" ")}`) },
  { weight: 1, arbitrary: fc.constantFrom("FLUSHDB", "FLUSHALL") },
);
const units = fc.array(fc.array(fc.record({ db, line }), { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 25 });
const names = fc.subarray(
  [0, 1, 2].flatMap((number) => KEYS.map((name) => `${number}:${name}`)),
  { maxLength: 4 },
);
const orders = fc.shuffledSubarray([0, 1, 2], { minLength: 3, maxLength: 3 });

// Mutations seen to fail it, in command-scope.ts: FLUSHALL and SWAPDB as where nothing is kept; MOVE that asks for the key's first database only.
test("behind any units a destination holds what was kept, untouched, and of the rest what the source holds", () => {
  fc.assert(
    fc.property(units, names, orders, (wanted, kept, order) => {
      const base = Projection.of({}, { databases: Object.fromEntries(order.entries()), keys: { include: [], exclude: [] } });
      const projection = keeping(kept, base);
      let source = new KeyspaceModel();
      const destination = new KeyspaceModel();
      for (const name of kept) destination.run({ db: Number(name[0]), line: `SET ${name.slice(2)} kept` });
      for (const unit of wanted) {
        const next = new KeyspaceModel(source);
        const effective = unit.filter((one) => next.run(one));
        if (effective.length === 0) continue;
        let projected: ReturnType<typeof unitsIn> = [];
        // A lane that halts goes no further; here the unit has not happened.
        if (catching(() => (projected = unitsIn(projection.project(sliceOf(effective), origin)))) !== null) continue;
        source = next;
        for (const { commands } of projected) for (const one of commands) destination.run(one);
      }
      const place = (from: number, name: string): number | null => projection.databaseOf(from, Buffer.from(name));
      const stood = kept.map((name) => `${name[0]} ${name.slice(2)} kept`);
      expect(destination.list()).toEqual([...source.list(place), ...stood].toSorted());
    }),
    { numRuns: 300 },
  );
});
