import { rdbFixtures, recordedRdbs, type CanonicalKey } from "@sluice/testkit";
import { describe, expect, test } from "vitest";
import { ElementReader } from "./element-reader.ts";
import { hasElements } from "./index.ts";
import { rdbKeys, type RdbKey } from "./rdb-keys.sample.ts";
import { idText } from "./stream-id.ts";
import type { ValueElement } from "./value-element.ts";

/** Reads a value in pieces of a size; what is kept of an element is copied, and the pieces are then overwritten. */
function elementsOf(type: number, value: Buffer, pieceBytes = value.length): unknown[] {
  const reader = new ElementReader(type);
  const found: unknown[] = [];
  const read = (): void => {
    for (let element = reader.next(); element !== undefined; element = reader.next()) found.push(plain(element));
  };
  for (let at = 0; at < value.length; at += pieceBytes) {
    reader.push(value.subarray(at, at + pieceBytes));
    read();
  }
  reader.finish();
  read();
  expect(reader.done).toBe(true);
  return joined(found as { kind: string }[]);
}

/** Without buffers and wide numbers. */
function plain(element: ValueElement): unknown {
  return JSON.parse(
    JSON.stringify(element, (name, value: unknown) => {
      if (typeof value === "bigint") return String(value);
      if (name === "pending") return undefined;
      if (typeof value === "number" && !Number.isFinite(value)) return String(value);
      return Object.is(value, -0) ? 0 : value;
    }),
    (_, value: unknown) => {
      const isBuffer = typeof value === "object" && value !== null && "type" in value && value.type === "Buffer";
      return isBuffer ? Buffer.from((value as unknown as { data: number[] }).data).toString("base64") : value;
    },
  );
}

/** Parts of a string are cut where the pieces are: joined. */
function joined(elements: { kind: string; bytes?: string }[]): unknown[] {
  if (elements[0]?.kind !== "part") return elements;
  return [Buffer.concat(elements.map(({ bytes }) => Buffer.from(bytes!, "base64"))).toString("base64")];
}

const sorted = <Item>(items: Item[]): Item[] =>
  items.toSorted((one, two) => (JSON.stringify(one) < JSON.stringify(two) ? -1 : 1));

/** An element as `plain` leaves it; which of these it has depends on its kind. */
interface Plain {
  readonly kind: string;
  readonly item: string;
  readonly member: string;
  readonly score: number | string;
  readonly field: string;
  readonly value: string;
  readonly expireAtMs: number;
  readonly id: { ms: string; seq: string };
  readonly fieldsAndValues: string[];
  readonly name: string;
  readonly lastId: { ms: string; seq: string };
  readonly length: number;
  readonly entriesRead?: string;
  readonly entriesAdded?: string;
  readonly maxDeletedId?: { ms: string; seq: string };
  readonly deliveredAtMs: number;
  readonly deliveries: number;
}

const shownId = ({ ms, seq }: { ms: string; seq: string }): string => idText({ ms: BigInt(ms), seq: BigInt(seq) });

/** Elements in the form in which servers' answers are kept, less what has no order. */
function canonical(type: string, elements: unknown[]): unknown {
  const items = elements as Plain[];
  if (type === "string") return elements[0];
  if (type === "list") return items.map(({ item }) => item);
  if (type === "set") return sorted(items.map(({ item }) => item));
  if (type === "zset") return sorted(items.map(({ member, score }) => [member, Number(String(score))]));
  if (type === "hash") return sorted(items.map(({ field, value, expireAtMs }) => [field, value, expireAtMs]));
  return streamOf(items);
}

function streamOf(items: Plain[]): unknown {
  const state = items.find(({ kind }) => kind === "stream")!;
  const groups: { name: string; lastId: string; entriesRead: number | null; consumers: unknown[]; pel: unknown[][] }[] = [];
  let consumer = "";
  for (const item of items) {
    const group = groups.at(-1);
    if (item.kind === "group") {
      const entriesRead = item.entriesRead === undefined ? null : Number(item.entriesRead);
      groups.push({ name: item.name, lastId: shownId(item.lastId), entriesRead, consumers: [], pel: [] });
    } else if (item.kind === "consumer") {
      consumer = item.name;
      group!.consumers.push(consumer);
    } else if (item.kind === "pending") {
      group!.pel.push([shownId(item.id), consumer, item.deliveredAtMs, item.deliveries]);
    }
  }
  const entries = items.filter(({ kind }) => kind === "entry");
  expect(entries.length).toBe(state.length);
  return {
    entries: entries.map(({ id, fieldsAndValues }) => [shownId(id), fieldsAndValues]),
    lastId: shownId(state.lastId),
    entriesAdded: state.entriesAdded === undefined ? null : Number(state.entriesAdded),
    maxDeletedId: state.maxDeletedId === undefined ? null : shownId(state.maxDeletedId),
    groups: sorted(groups.map((group) => ({ ...group, consumers: sorted(group.consumers), pel: sorted(group.pel) }))),
  };
}

/** What a server answered, in the same form. */
function answered(key: CanonicalKey): unknown {
  if (key.type === "zset")
    return sorted(key.value.map(([member, score]) => [member, Number(score.replace("inf", "Infinity")) + 0]));
  if (key.type === "hash") return sorted(key.value.map(([field, value, at]) => [field, value, at ?? -1]));
  if (key.type !== "stream") return key.value;
  const { groups, ...state } = key.value;
  const ours = groups.map(({ name, lastId, entriesRead, pel, consumers }) => ({
    name,
    lastId,
    entriesRead,
    consumers: sorted(consumers.map((consumer) => consumer.name)),
    pel: sorted(pel.map((entry) => [...entry])),
  }));
  return { ...state, groups: sorted(ours) };
}

const fixtures = rdbFixtures();
const types = new Map<number, RdbKey[]>();
for (const { bytes } of fixtures) {
  for (const key of rdbKeys(bytes)) {
    const found = types.get(key.type) ?? [];
    types.set(key.type, found);
    if (found.every(({ value }) => !value[0]!.equals(key.value[0]!))) found.push(key);
  }
}

describe("every value of every server", () => {
  test.each(fixtures.map((fixture) => [fixture.name, fixture] as const))("%s: what its server answers", (_, fixture) => {
    const expected = new Map(fixture.expected.keys.map((key) => [`${key.db} ${key.key}`, key]));
    const keys = rdbKeys(fixture.bytes, { partBytes: 1000 });
    const modules = keys.filter(({ type }) => !hasElements(type));
    for (const { db, key, type, value } of keys.filter((key) => !modules.includes(key))) {
      const answer = expected.get(`${db} ${key.toString("base64")}`)!;
      const found = canonical(answer.type, elementsOf(type, Buffer.concat(value), 1000));
      expect(found, key.toString("latin1")).toEqual(answered(answer));
    }
    expect(modules.length).toBe(fixture.expected.keys.filter(({ type }) => (type as string) === "vectorset").length);
    expect(keys.length).toBe(expected.size);
  });

  test.each(recordedRdbs().map(({ name, rdb }) => [name, rdb] as const))("%s: no value that can't be read", (_, rdb) => {
    for (const { type, value } of rdbKeys(rdb)) expect(hasElements(type) && elementsOf(type, value[0]!).length > 0).toBe(true);
  });

  test("has every type up to the newest that a fixture was written with", () => {
    const known = Array.from({ length: 256 }, (_, type) => type).filter(hasElements);
    const missing = known.filter((type) => !types.has(type));
    // Zipmaps are older than the oldest server; 22 and 23 are of release candidates; 26 is of Redis 8.6.
    expect(missing).toEqual([9, 22, 23, 26]);
  });
});

describe("any cutting of the value gives the same", () => {
  test.each([...types].filter(([type]) => hasElements(type)))("type %i", (type, keys) => {
    const small = keys.filter(({ value }) => value[0]!.length < 1_500).slice(0, 8);
    for (const { value } of small.length > 0 ? small : keys.slice(0, 1)) {
      const [bytes] = value as [Buffer];
      const whole = elementsOf(type, bytes);
      for (const size of bytes.length < 1_500 ? [1, 2, 3, 7, 64, 500] : [1, 4_000]) {
        expect(elementsOf(type, bytes, size)).toEqual(whole);
      }
    }
  });
});
