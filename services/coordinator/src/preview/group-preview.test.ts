import { expect, test } from "vitest";
import { groupPreview, namePreviews } from "./group-preview.ts";
import { hintedNames, patternHint } from "./pattern-hint.ts";
import { keyOf, shownKey } from "./shown-key.ts";

const bytes = (...names: string[]): Buffer[] => names.map((name) => Buffer.from(name, "latin1"));
const spec = (include: string[], exclude: string[] = [], databases?: Record<string, number>) => ({
  group: "main",
  keys: { include, exclude },
  commands: { exclude: ["DEL"] },
  ...(databases === undefined ? {} : { databases }),
});

// Mutations seen to fail it: group-preview.ts, `decisive` with include first; `estimatedKeys` of the sample; own keys judged as others; `addTo` that takes the last server's.
test("what a group gets is told by database, over all servers, and which pattern decided", async () => {
  const sampled = [
    { db: 0, keys: 1_000, sample: bytes("order:1", "order:2", "tmp:order:3", "user:1") },
    { db: 0, keys: 500, sample: bytes("order:tmp", "sluice:{x}:p:main") },
    { db: 3, keys: 10, sample: bytes("order:9") },
    { db: 7, keys: 4, sample: [] },
  ];
  const preview = await groupPreview(spec(["order:*", "*:order:*"], ["*tmp*", "nothing:*"], { "3": 0 }), [0, 3], sampled);
  expect(preview.databases).toEqual([
    { db: 0, target: 0, keys: 1_500, sampled: 6, taken: 2, share: 1 / 3, estimatedKeys: 500 },
    { db: 3, target: 0, keys: 10, sampled: 1, taken: 1, share: 1, estimatedKeys: 10 },
    { db: 7, target: null, keys: 4, sampled: 0, taken: 0, share: null, estimatedKeys: 0 },
  ]);
  expect(preview.patterns).toEqual([
    { list: "include", pattern: "order:*", matched: 4, decided: 3, names: ["order:1", "order:2", "order:9"], hint: null },
    { list: "include", pattern: "*:order:*", matched: 1, decided: 0, names: [], hint: null },
    { list: "exclude", pattern: "*tmp*", matched: 2, decided: 2, names: ["tmp:order:3", "order:tmp"], hint: null },
    { list: "exclude", pattern: "nothing:*", matched: 0, decided: 0, names: [], hint: null },
  ]);
  expect(preview).toMatchObject({ estimatedKeys: 510, own: 1, excludedCommands: ["DEL"] });
  expect(preview.unmatched).toEqual({ count: 1, names: ["user:1"] });
});

test("without patterns every key is taken; without a sample nothing is guessed, and no pattern is called silent", async () => {
  const all = await groupPreview(spec([]), null, [{ db: 0, keys: 3, sample: bytes("a", "b", "c") }]);
  expect([all.estimatedKeys, all.unmatched.count, all.patterns]).toEqual([3, 0, []]);
  const none = await groupPreview(spec(["ordr:*"]), null, [{ db: 0, keys: 3, sample: [] }]);
  expect([none.databases[0]?.share, none.patterns[0]?.hint]).toEqual([null, null]);
});

test("a name is judged for each group by itself, with the pattern that decides", async () => {
  const groups = [spec(["a*"], ["*b"]), { ...spec([]), group: "all" }];
  const told = async (name: string) => {
    const [preview] = await namePreviews(groups, bytes(name));
    return preview?.groups.map((one) => Object.values(one).join(" "));
  };
  expect(await told("a1")).toEqual(["main true include a*", "all true  "]);
  expect(await told("ab")).toEqual(["main false exclude *b", "all true  "]);
  expect(await told("c")).toEqual(["main false  ", "all true  "]);
  expect(await told("sluice:{1}:p")).toEqual(["main false  ", "all false  "]);
});

// Mutations seen to fail it: pattern-hint.ts, each of its returns taken out.
test.each([
  ["ordr:*", 'did you mean "order:*"?'],
  ["Order:*", 'did you mean "order:*"?'],
  ["order:ue:*", 'did you mean "order:eu:*"?'],
  ["order", 'without a `*` it is one name alone; did you mean "order*"?'],
  ["^order:.*", "patterns are globs, as KEYS takes them, and no regular expressions"],
  ["order:{eu,us}:*", "`{a,b}` means these very characters"],
  ["completely-else:*", null],
  ["*x", null],
])("a pattern that matches nothing, %s: %s", (pattern, hint) => {
  const found = patternHint(pattern, hintedNames(bytes("order:eu:1", "order:us:2", "session:3")));
  if (hint === null) expect(found).toBeNull();
  else expect(found).toContain(hint);
});

// Mutations seen to fail it: shown-key.ts, `printableLength` without the class of what shows as nothing.
test("names steer no terminal: what is no printable UTF-8 is shown by its bytes, and read back from that", () => {
  const shown = (name: Buffer) => shownKey(name);
  expect(shown(Buffer.from("käse:1 €"))).toBe("käse:1 €");
  expect(shown(Buffer.from([0x61, 0x1b, 0x5b, 0x00, 0xff, 0xc3]))).toBe("a\\x1b[\\x00\\xff\\xc3");
  expect(shown(Buffer.from("a\u202eb\u200b\u00a0"))).toBe("a\\xe2\\x80\\xaeb\\xe2\\x80\\x8b\\xc2\\xa0");
  expect(shown(Buffer.from("a\\x41"))).toBe("a\\\\x41");
  expect(shown(Buffer.alloc(300, "a"))).toBe(`${"a".repeat(120)}… (300 bytes)`);
  for (const name of [Buffer.from("a\\x41\\"), Buffer.from([0, 255, 92, 92, 120, 52, 49]), Buffer.from("käse")])
    expect(keyOf(shown(name))).toEqual(name);
  expect(keyOf("C:\\dir")).toEqual(Buffer.from("C:\\dir"));
});

// Mutations seen to fail it: group-preview.ts, without any one `turn`; without MOST_HINTS.
test("a large sample, many silent patterns and many names hold nobody up: leases are lost after 3 s without a turn", async () => {
  const sample = Array.from({ length: 1_000 }, (_, at) => Buffer.from(`tenant-${at}:order`));
  const patterns = Array.from({ length: 100 }, (_, at) => `tnant-${at}:o*`);
  let turns = 0;
  const count = (): void => {
    turns++;
    next = setImmediate(count);
  };
  let next = setImmediate(count);
  const preview = await groupPreview(spec(patterns), null, [{ db: 0, keys: 1_000, sample }]);
  const ofGroup = turns;
  await namePreviews([spec(patterns)], sample);
  clearImmediate(next);
  expect(preview.patterns.filter(({ hint }) => hint !== null).length).toBe(20);
  expect([ofGroup, turns - ofGroup]).toEqual([30, 10]);
});
