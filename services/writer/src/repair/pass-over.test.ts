import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isPassedOver, keysBetween, taintedKeys, type PlacedUnit } from "./pass-over.ts";
import { RepairBook, repairedField, repairedValue } from "./repair-book.ts";

const KEYS = ["a", "b", "c", "d", "e", "f", "g", "h"];

const bookOf = (entries: Readonly<Record<string, number>>): RepairBook => {
  const book = new RepairBook();
  for (const [place, offset] of Object.entries(entries)) book.set([place], offset);
  return book;
};

const sorted = (places: ReadonlySet<string> | null): string[] | null => (places === null ? null : [...places].toSorted());

describe("units around repaired keys", () => {
  test("one whose keys all hold it is passed over, one behind all is applied, one in between needs the other keys", () => {
    const book = bookOf({ k: 100 });
    const unit = (end: number, ...places: string[]): PlacedUnit => ({ end, places });
    expect([90, 100, 110].map((end) => isPassedOver(unit(end, "k"), book))).toEqual([true, true, false]);
    expect(sorted(keysBetween([unit(90, "k"), unit(95, "other"), unit(110, "k", "b")], book))).toEqual([]);
    expect(sorted(keysBetween([unit(90, "k", "b"), unit(95, "b", "c"), unit(96, "d")], book))).toEqual(["b", "c", "k"]);
    expect(isPassedOver({ end: 1, places: null }, book)).toBe(false);
    expect(isPassedOver({ end: 1, places: [] }, book)).toBe(false);
  });

  const unit = fc.record({
    step: fc.integer({ min: 1, max: 9 }),
    places: fc.uniqueArray(fc.constantFrom(...KEYS), { minLength: 1, maxLength: 3 }),
  });
  const ahead = fc.dictionary(fc.constantFrom(...KEYS), fc.nat(200));

  // A model: the value of a key is the list of units applied to it; at the source all units up to an offset are.
  test("every unit takes effect on each of its keys exactly once, whatever was ahead", () => {
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 25 }), ahead, fc.integer({ min: 1, max: 6 }), (steps, entries, groupSize) => {
        let end = 0;
        const units = steps.map(({ step, places }) => ({ end: (end += step), places }));
        const atSource = (place: string, offset: number): number[] =>
          units.filter((each) => each.end <= offset && each.places.includes(place)).map((each) => each.end);
        const book = bookOf(entries);
        const values = new Map(KEYS.map((place) => [place, atSource(place, entries[place] ?? 0)]));
        for (let from = 0; from < units.length; from += groupSize) {
          const group = units.slice(from, from + groupSize);
          const wanted = keysBetween(group, book);
          // The source goes on: it is always at its end.
          for (const place of wanted) values.set(place, atSource(place, end));
          book.set(wanted, end);
          expect(keysBetween(group, book).size).toBe(0);
          for (const each of group) {
            if (isPassedOver(each, book)) continue;
            for (const place of each.places) values.get(place)?.push(each.end);
          }
          book.remove(book.passed(group.at(-1)?.end ?? 0));
        }
        for (const [place, value] of values) {
          const read = entries[place] ?? 0;
          expect(value).toEqual(atSource(place, Math.max(end, read)));
        }
      }),
    );
  });
});

test("what was written from a key that differs differs, too", () => {
  const step = (places: string[] | null, failed = false) => ({ failed, places });
  expect(sorted(taintedKeys([step(["a", "x"]), step(["a"], true), step(["b", "a"]), step(["c"]), step(["d", "b"])]))).toEqual([
    "a",
    "b",
    "d",
  ]);
  expect(sorted(taintedKeys([step(null), step(["a"], true), step([])]))).toEqual(["a"]);
  expect(taintedKeys([step(null, true)])).toBeNull();
  expect(taintedKeys([step([], true)])).toBeNull();
});

describe("the book", () => {
  test("takes what its hash says of its own epoch, and nothing else", () => {
    const book = new RepairBook();
    const field = (place: string): Buffer => repairedField(place);
    const value = (epoch: number, offset: number): Buffer => Buffer.from(repairedValue(epoch, offset, "r1"));
    book.take([field("0:k\xff"), value(3, 100), field("0:old"), value(2, 100), field("1:x"), Buffer.from("garbage")], 3);
    book.take(null, 3);
    expect(book.size).toBe(1);
    expect([book.covers("0:k\xff", 100), book.covers("0:k\xff", 101), book.covers("0:old", 1)]).toEqual([true, false, false]);
    expect([book.covering(100), book.covering(101), book.passed(99), book.passed(100)]).toEqual([
      ["0:k\xff"],
      [],
      [],
      ["0:k\xff"],
    ]);
  });

  test("tells entries that another history may not hold: of no known one, too", () => {
    const book = new RepairBook();
    book.take([repairedField("0:old"), Buffer.from("3|100"), repairedField("0:a"), Buffer.from("3|100|r1")], 3);
    book.set(["0:b"], 90, "r2");
    expect(book.ofOthers({ replid: "r1", previous: 80 })).toEqual(["0:old", "0:b"]);
    expect(book.ofOthers({ replid: "r2", previous: 99 })).toEqual(["0:old", "0:a"]);
    expect(book.ofOthers({ replid: "r2", previous: 100 })).toEqual([]);
    book.removeWhere((place) => place !== "0:b");
    expect([book.size, book.covers("0:b", 90)]).toEqual([1, true]);
  });
});
