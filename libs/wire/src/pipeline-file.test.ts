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
      retryWindow: { source: 43_200_000, destination: 43_200_000, bus: 43_200_000 },
      keepApplied: 600_000,
      lanes: 16,
      onDivergence: "halt",
      onBacklogLost: "resync",
      limits: { concurrentFullSyncs: 1 },
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
      retryWindow: { source: 5_400_000, destination: 5_400_000, bus: 5_400_000 },
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
const noDuration = "expected a duration such as 30s, 720m or 12h";
const retryForms = `${noDuration}, or one each for \`source\`, \`destination\` and \`bus\``;
const long = "s".repeat(33);

const brokenFields: [string, string, string][] = [
  ["an empty one", "", "1:1: read nothing: expected fields with names"],
  ["a list", "- a\n", '1:1: read ["a"]: expected fields with names'],
  ["text", "hello\n", '1:1: read "hello": expected fields with names'],
  ["a bad name", changed("shop", "Shop!"), '2:7: name: read "Shop!": expected 1 to 32 of a-z, 0-9 and -'],
  ["a name that is too long", changed("shop", long), `2:7: name: read "${long}": expected 1 to 32 of a-z, 0-9 and -`],
  ["a name that is a number", changed("shop", "007"), "2:7: name: read 7: expected text; put it between quotes"],
  ["no name", changed("name: shop\n", ""), "2:1: name: missing: expected text"],
  ["nothing behind a name", changed("name: shop", "name:"), "2:1: name: read nothing: expected text"],
  ["no url", changed("url: redis://source:6379", "user: me"), "3:1: source.url: missing: expected text"],
  [
    "another scheme",
    changed("redis://source", "http://source"),
    '4:8: source.url: read "http://source:6379": expected the scheme redis or rediss',
  ],
  [
    "a database in the url",
    changed("6380", "6380/2"),
    '6:10: destinations[0].url: read "redis://destination:6380/2": expected nothing behind the port: `databases` has a field of its own',
  ],
  [
    "an option in the url",
    changed("6380", "6380?db=2"),
    '6:10: destinations[0].url: read "redis://destination:6380?db=2": expected nothing behind the port: options have their own fields',
  ],
  [
    "no destination",
    changed("  - url: redis://destination:6380\n", "  []\n"),
    "5:1: destinations: read []: expected at least 1 in the list",
  ],
  [
    "a destination that is no list",
    changed("  - url", "  url"),
    '5:1: destinations: read {"url":"redis://destination:6380"}: expected a list',
  ],
  ["an unknown field", more("speed:\n  very: fast\n"), '7:1: speed: unknown field "speed"'],
  [
    "a slip of the finger",
    more("retrywindow: 5m\n"),
    '7:1: retrywindow: unknown field "retrywindow"; did you mean "retryWindow"?',
  ],
  [
    "letters swapped, further in",
    changed("6379", "6379\n  passwrod: x"),
    '5:3: source.passwrod: unknown field "passwrod"; did you mean "password"?',
  ],
  [
    "a field in the wrong place",
    changed("6379", "6379\n  keepApplied: 5m"),
    '5:3: source.keepApplied: unknown field "keepApplied" here; there is one at the top of the file',
  ],
  [
    "another field in the wrong place",
    more("password: hunter2\n"),
    '7:1: password: unknown field "password" here; there is one in `source`',
  ],
  [
    "an unknown field inside",
    changed("url: redis://s", `${nested}\n  url: rediss://s`),
    '6:5: source.tls.colour: unknown field "colour"',
  ],
  ["a duration without a unit", more("retryWindow: 30\n"), `7:14: retryWindow: read 30: ${retryForms}`],
  [
    "one duration of three",
    more("retryWindow:\n  bus: 5m\n  source: soon\n"),
    `9:11: retryWindow.source: read "soon": ${noDuration}, at most 36500d`,
  ],
  ["an endpoint that has no window", more("retryWindow: { target: 5m }\n"), '7:16: retryWindow.target: unknown field "target"'],
  ["a duration of another unit", more("keepApplied: 3w\n"), `7:14: keepApplied: read "3w": ${noDuration}, at most 36500d`],
  ["another policy", more("onDivergence: ignore\n"), '7:15: onDivergence: read "ignore": expected halt, repair or skip'],
  ["a truth of YAML 1.1", more("onDivergence: no\n"), '7:15: onDivergence: read "no": expected halt, repair or skip'],
  [
    "another mode",
    more("mode: fulll\n"),
    '7:7: mode: read "fulll": expected full+changes, full or changes; did you mean full?',
  ],
  [
    "two groups of one name",
    more("  - url: redis://c\n"),
    '7:5: destinations[1].group: missing: expected a name that no other group has; "main" is that of a destination without one',
  ],
  [
    "another way with existing keys",
    more("    existing: merge\n"),
    '7:15: destinations[0].existing: read "merge": expected refuse, overwrite, replace or keep',
  ],
  [
    "changes alone, for a destination that must be empty",
    more("mode: changes\n"),
    "6:5: destinations[0].existing: missing: expected overwrite with `mode: changes`, which copies nothing: the changes go to what the destination holds already",
  ],
  [
    "changes alone, for a destination that would be emptied",
    more("    existing: replace\nmode: changes\n"),
    '7:15: destinations[0].existing: read "replace": expected overwrite with `mode: changes`, which copies nothing: the changes go to what the destination holds already',
  ],
  [
    "TLS on a plain link",
    changed("6379", "6379\n  tls:\n    ca: a.pem"),
    '5:3: source.tls: read {"ca":"a.pem"}: expected rediss:// in `url` where `tls` is set',
  ],
  [
    "a certificate without its key",
    changed("redis://source:6379", "rediss://source\n  tls:\n    cert: a.pem"),
    '5:3: source.tls: read {"cert":"a.pem"}: expected `key` beside `cert`',
  ],
  [
    "a truth in quotes",
    changed("redis://source:6379", 'rediss://source\n  tls: { insecure: "true" }'),
    '5:20: source.tls.insecure: read "true": expected true or false; leave the quotes out',
  ],
  [
    "a node that is none",
    changed("6379", "6379\n  nodes:\n    10.0.0.1: { user: a }"),
    '6:5: source.nodes["10.0.0.1"]: read {"user":"a"}: expected host:port of a node',
  ],
  [
    "credentials for Sentinels where there are none",
    changed("6379", "6379\n  sentinel:\n    user: a"),
    '5:3: source.sentinel: read {"user":"a"}: expected sentinel:// in `url` where `sentinel` is set',
  ],
  [
    "a destination behind Sentinels",
    changed("redis://destination:6380", "sentinel://destination/m"),
    '6:10: destinations[0].url: read "sentinel://destination/m": expected redis:// or rediss://: only a source can be found through Sentinels',
  ],
  [
    "full copies without end",
    more("limits:\n  concurrentFullSyncs: 0\n"),
    "8:24: limits.concurrentFullSyncs: read 0: expected at least 1",
  ],
  ["a number in quotes", more('lanes: "16"\n'), '7:8: lanes: read "16": expected a whole number; leave the quotes out'],
  ["half a lane", more("lanes: 1.5\n"), "7:8: lanes: read 1.5: expected a whole number"],
  [
    "a size without a unit",
    more("limits: { streamBytes: 500 }\n"),
    "7:24: limits.streamBytes: read 500: expected a size such as 500MB, 20GB or 4GiB, at most 8000TB",
  ],
  [
    "a window without an end",
    more("startWindow: 01:00\n"),
    '7:14: startWindow: read "01:00": expected "HH:MM-HH:MM", in UTC or with a time zone behind it such as "22:00-05:00 Europe/Berlin"',
  ],
];

const brokenYaml: [string, string, string][] = [
  ["a field twice", more("name: other\n"), '7:1: the field "name" stands there twice: expected once'],
  ["a tab", changed("  url: redis://source", "\turl: redis://source"), "4:1: a tab as indentation: expected spaces"],
  [
    "a bracket that stays open",
    more("lanes: [1\n"),
    "8:1: indented otherwise than the lines beside it, or a bracket before it is still open",
  ],
  ["two documents", `${good}---\n${good}`, "7:1: a second document begins: expected one, without a line `---` in between"],
  ["an alias of nothing", changed("shop", "*shop"), "2:7: an alias of nothing: put text that begins with * between quotes"],
  ["a tag", changed("shop", "!shop x"), "2:7: a tag (!…): put text that begins with ! between quotes"],
  ["a character that YAML keeps", changed("shop", "@shop"), "2:7: text can't begin with this character: put it between quotes"],
  [
    "a colon in text",
    changed("6379", "6379\n  password: a: b"),
    "5:13: a second `name: value` in one line: put text that holds `: ` between quotes, or begin a new line",
  ],
  ["a merge key", more("<<: { lanes: 3 }\n"), "7:1: merge keys (<<) are not read: write the fields out"],
  ["a list as a name", more("? [a]\n: b\n"), "7:3: expected the name of a field, found something else"],
  [
    "an anchor that holds itself",
    more("limits: &a { b: *a }\n"),
    "7:17: aliases (*) unfold to more than a pipeline file can hold: write the values out",
  ],
  ["brackets without end", "[".repeat(5_000), "1:1: nested too deep to be a pipeline file"],
  ["brackets by the hundred", `a: ${"[".repeat(500)}${"]".repeat(500)}`, "1:1: nested too deep to be a pipeline file"],
  ["more than 1 MiB", `# ${"x".repeat(2 ** 20)}`, "1:1: the file holds more than 1 MiB: expected a pipeline file"],
  ["no text", "a\0b", "1:1: the file holds bytes that are no text: expected a pipeline file in UTF-8"],
];

describe("a broken file is refused with the line, the field, what was read and what was expected", () => {
  test.each([...brokenFields, ...brokenYaml])("%s", (_name, text, fault) => {
    expect(faultsOf(text)).toEqual([`f.yaml:${fault}`]);
  });

  test("with all that is wrong at once", () => {
    const text = `${changed("shop", "S")}retryWindow: x\nfoo: 1\nbar: 2\n  `.replace(
      "destination:6380",
      "destination:6380\n  - url: 5",
    );
    expect(faultsOf(text).map((fault) => fault.split(": ").slice(0, 2).join(" "))).toEqual([
      "f.yaml:2:7 name",
      "f.yaml:7:10 destinations[1].url",
      "f.yaml:8:14 retryWindow",
      "f.yaml:9:1 foo",
      "f.yaml:10:1 bar",
      "f.yaml:7:5 destinations[1].group",
    ]);
  });

  test("aliases that unfold without end", () => {
    const rows = Array.from({ length: 9 }, (_, at) => `a${at + 1}: &a${at + 1} [${Array(9).fill(`*a${at}`).join(", ")}]`);
    expect(faultsOf(["a0: &a0 x", ...rows, ""].join("\n"))).toEqual([
      "f.yaml:2:10: aliases (*) unfold to more than a pipeline file can hold: write the values out",
    ]);
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
    ["that begins as an alias", changed("6379", "6379\n  password: *hunter2")],
    ["that begins as a tag", changed("6379", "6379\n  password: !hunter2 x")],
    ["behind quotes that stay open", changed("6379", '6379\n  password: "x" hunter2')],
    ["of a node", changed("6379", "6379\n  nodes: { a: { password: hunter2 } }")],
    ["in a url in a block of another form", changed("  url: redis://source:6379", "  - url: redis://:hunter2@s")],
  ])("%s", (_name, text) => {
    const printed = faultsOf(text).join("\n");
    expect(printed).toContain("f.yaml:");
    expect(printed).not.toMatch(/hunter2|4711/);
  });
});
