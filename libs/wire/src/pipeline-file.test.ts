import { describe, expect, test } from "vitest";
import { parsePipelineFile, PipelineFileError } from "./pipeline-file.ts";

const good = `# what the tests change
name: shop
source:
  url: redis://source:6379
destinations:
  - url: redis://destination:6380
`;

function faultsOf(text: string): readonly string[] {
  try {
    parsePipelineFile(text, "f.yaml");
  } catch (cause) {
    if (cause instanceof PipelineFileError) return cause.message.split("\n");
    throw cause;
  }
  return [];
}

describe("a good file", () => {
  test("needs little; the rest has defaults", () => {
    expect(parsePipelineFile(good, "f.yaml")).toMatchObject({
      name: "shop",
      mode: "full+changes",
      source: { url: "redis://source:6379" },
      destinations: [{ group: "main", url: "redis://destination:6380", existing: "refuse" }],
      retryWindow: 43_200_000,
      keepApplied: 600_000,
      onDivergence: "halt",
    });
  });

  test("may say everything", () => {
    const tls = { ca: "ca.pem", cert: "c.pem", key: "k.pem", serverName: "redis", insecure: false };
    const source = { url: "rediss://[::1]:6390", user: "u", password: { env: "SECRET" }, tls };
    const group = { url: "redis://b", password: { file: "/run/secret" } };
    const file = {
      name: "p",
      mode: "full+changes",
      source,
      destinations: [
        { ...group, group: "a", existing: "replace" },
        { ...group, group: "b", existing: "overwrite", password: "x" },
      ],
      retryWindow: "1.5h",
      keepApplied: "0s",
      onDivergence: "repair",
    };
    expect(parsePipelineFile(JSON.stringify(file), "f.json")).toMatchObject({
      ...file,
      retryWindow: 5_400_000,
      keepApplied: 0,
    });
  });

  test("may use anchors", () => {
    const text = good.replace("  url: redis://source", "  &s\n  url: redis://source");
    expect(parsePipelineFile(text, "f.yaml").source.url).toBe("redis://source:6379");
  });
});

const changed = (from: string, to: string): string => good.replace(from, to);
const more = (text: string): string => good + text;
const nested = "tls:\n    ca: a.pem\n    colour: red";

describe("a broken file is refused with the line, the field and what was read", () => {
  test.each([
    ["an empty one", "", "f.yaml:1: read null: "],
    ["a list", "- a\n", 'f.yaml:1: read ["a"]: '],
    ["a bad name", changed("shop", "Shop!"), 'f.yaml:2: name: read "Shop!": expected 1 to 32 of a-z, 0-9 and -'],
    ["a name that is too long", changed("shop", "s".repeat(33)), `f.yaml:2: name: read "${"s".repeat(33)}": expected 1 to 32`],
    ["no name", changed("name: shop\n", ""), "f.yaml:2: name: missing: "],
    ["no url", changed("url: redis://source:6379", "user: me"), "f.yaml:3: source.url: missing: "],
    [
      "another scheme",
      changed("redis://source", "http://source"),
      'f.yaml:4: source.url: read "http://source:6379": expected the scheme',
    ],
    ["a database in the url", changed("6380", "6380/2"), "f.yaml:6: destinations[0].url: read "],
    ["an option in the url", changed("6380", "6380?db=2"), "f.yaml:6: destinations[0].url: read "],
    ["no destination", changed("  - url: redis://destination:6380\n", "  []\n"), "f.yaml:5: destinations: read []: "],
    ["an unknown field", more("speed:\n  very: fast\n"), 'f.yaml:7: speed: unknown field "speed"'],
    [
      "an unknown field inside",
      changed("url: redis://s", `${nested}\n  url: rediss://s`),
      'f.yaml:6: source.tls.colour: unknown field "colour"',
    ],
    ["a duration without a unit", more("retryWindow: 30\n"), "f.yaml:7: retryWindow: read 30: expected a duration such as 30s"],
    [
      "a duration of another unit",
      more("keepApplied: 3w\n"),
      'f.yaml:7: keepApplied: read "3w": expected a duration such as 30s',
    ],
    ["another policy", more("onDivergence: ignore\n"), 'f.yaml:7: onDivergence: read "ignore": '],
    ["another mode", more("mode: changes\n"), 'f.yaml:7: mode: read "changes": '],
    [
      "two groups of one name",
      more("  - url: redis://c\n"),
      "f.yaml:7: destinations[1].group: missing: expected a name that no other group has",
    ],
    ["another way with existing keys", more("    existing: merge\n"), 'f.yaml:7: destinations[0].existing: read "merge": '],
    [
      "TLS on a plain link",
      changed("6379", "6379\n  tls:\n    ca: a.pem"),
      'f.yaml:5: source.tls: read {"ca":"a.pem"}: expected rediss://',
    ],
    [
      "credentials for Sentinels where there are none",
      changed("6379", "6379\n  sentinel:\n    user: a"),
      'f.yaml:5: source.sentinel: read {"user":"a"}: expected sentinel://',
    ],
    [
      "a destination behind Sentinels",
      changed("redis://destination:6380", "sentinel://destination/m"),
      'f.yaml:6: destinations[0].url: read "sentinel://destination/m": expected redis:// or rediss://',
    ],
    ["full copies without end", more("limits:\n  concurrentFullSyncs: 0\n"), "f.yaml:8: limits.concurrentFullSyncs: read 0: "],
    ["a field twice", more("name: other\n"), "f.yaml:7: Map keys must be unique"],
    ["a tab", changed("  url: redis://source", "\turl: redis://source"), "f.yaml:4: Tabs are not allowed as indentation"],
    ["a bracket that stays open", "name: [a\n", "f.yaml:2: Flow sequence"],
    ["two documents", `${good}---\n${good}`, "f.yaml:7: Source contains multiple documents"],
    ["an alias of nothing", changed("shop", "*shop"), "f.yaml:1: Unresolved alias"],
  ])("%s", (_name, text, fault) => {
    expect(faultsOf(text)[0]).toContain(fault);
  });

  test("with all that is wrong at once", () => {
    const faults = faultsOf(`${changed("shop", "S")}retryWindow: x\nfoo: 1\nbar: 2\n`);
    expect(faults.map((fault) => fault.split(": ").slice(0, 2).join(" "))).toEqual([
      "f.yaml:2 name",
      "f.yaml:7 retryWindow",
      "f.yaml:8 foo",
      "f.yaml:9 bar",
    ]);
  });

  test("aliases that unfold without end", () => {
    const rows = Array.from({ length: 9 }, (_, at) => `a${at + 1}: &a${at + 1} [${Array(9).fill(`*a${at}`).join(", ")}]`);
    expect(faultsOf(["a0: &a0 x", ...rows, ""].join("\n"))[0]).toContain("Excessive alias count");
  });

  test("long content is shown in part", () => {
    expect(faultsOf(changed("shop", "x".repeat(5000)))[0]?.length).toBeLessThan(200);
  });
});

describe("no secret is printed", () => {
  test.each([
    ["in a url", changed("redis://source", "redis://me:hunter2@source")],
    ["that was taken for a number", changed("6379", "6379\n  password: 4711")],
    ["with a wrong field", changed("6379", "6379\n  password: { plain: hunter2 }")],
    ["in a block of another form", changed("  url: redis://source:6379", "  - password: hunter2")],
    ["in a url in a block of another form", changed("  url: redis://source:6379", "  - url: redis://:hunter2@s")],
  ])("%s", (_name, text) => {
    const printed = faultsOf(text).join("\n");
    expect(printed).toContain("source");
    expect(printed).not.toMatch(/hunter2|4711/);
  });
});
