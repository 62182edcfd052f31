import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { checkArchitecture } from "../tools/architecture/check-architecture.ts";
import type { ArchitectureRules } from "../tools/architecture/rules.ts";
import { readSourceTree, type SourceTree } from "../tools/architecture/source-tree.ts";

const services = ["@sluice/ingest", "@sluice/router", "@sluice/writer", "@sluice/coordinator"];
const toServices = ["@sluice/redis", "@sluice/wire", "@sluice/runtime", "@sluice/bus"];

const rules: ArchitectureRules = {
  mayImport: {
    "@sluice/redis": [],
    "@sluice/wire": [],
    "@sluice/runtime": [],
    "@sluice/bus": ["@sluice/wire", "@sluice/runtime"],
    "@sluice/testkit": [],
    "@sluice/ingest": toServices,
    "@sluice/router": toServices,
    "@sluice/writer": toServices,
    "@sluice/coordinator": toServices,
    "@sluice/cli": ["@sluice/wire"],
    "@sluice/demo": ["@sluice/cli", "@sluice/testkit", "@sluice/wire"],
  },
  reserved: [
    { name: "@nats-io/", only: ["@sluice/bus"], why: "one place knows how we use JetStream" },
    {
      name: "ioredis",
      only: ["@sluice/coordinator", "@sluice/router", "@sluice/testkit"],
      why: "its resending and offline queue would repeat commands on the data path",
    },
  ],
  mayExit: ["libs/runtime/", "apps/"],
  mayStart: { "@sluice/cli": services, "@sluice/demo": ["@sluice/cli"] },
  mayComputeImports: ["apps/cli/src/commands/become-program.ts"],
  emptyNames: "util utils helper helpers common types misc core shared manager handler base impl info data".split(" "),
  maxLines: 400,
  maxMainLines: 60,
  maxDecisionLines: 60,
  testPlaces: [
    /^(libs|services|apps)\/[^/]+\/src\/.+\.test\.ts$/,
    /^test\/[^/]+\.test\.ts$/,
    /^test\/simulate\/.+\.test\.ts$/,
    /^test\/e2e\/.+\.e2e\.test\.ts$/,
  ],
};

const ours = readSourceTree(resolve(import.meta.dirname, ".."));

describe("the tree", () => {
  test("keeps every rule", () => {
    expect(checkArchitecture(ours, rules)).toEqual([]);
  });

  test("is read whole: sources of every package are in it", () => {
    for (const name of Object.keys(rules.mayImport)) {
      const end = `/${name.replace("@sluice/", "")}/src/`;
      expect([...ours.keys()].some((path) => path.includes(end))).toBe(true);
    }
  });

  test("has its functions' length watched by the linter, tests excepted", () => {
    interface LintConfig {
      readonly rules: Record<string, unknown>;
      readonly overrides: readonly { readonly files: readonly string[]; readonly rules: Record<string, unknown> }[];
    }
    const lint = JSON.parse(ours.get(".oxlintrc.json") ?? "{}") as LintConfig;
    const limit = ["error", { max: 70, skipBlankLines: true, skipComments: true }];
    expect(lint.rules["max-lines-per-function"]).toEqual(limit);
    const relaxed = lint.overrides.filter((override) => "max-lines-per-function" in override.rules);
    expect(relaxed.flatMap((override) => override.files)).toEqual(["**/*.test.ts", "test/**"]);
  });
});

function homeOf(name: string): string {
  const kind = services.includes(name) ? "services" : /cli|demo/.test(name) ? "apps" : "libs";
  return `${kind}/${name.replace("@sluice/", "")}`;
}

function projectFile(paths: readonly string[]): string {
  return JSON.stringify({ references: paths.map((path) => ({ path })) });
}

/** Packages that depend on all they may, and `files` beside them or in their place. */
function treeWith(files: Readonly<Record<string, string>>): SourceTree {
  const tree = new Map<string, string>();
  for (const [name, imported] of Object.entries(rules.mayImport)) {
    const dependencies = Object.fromEntries([...imported, ...(rules.mayStart[name] ?? [])].map((other) => [other, "0.1.0"]));
    tree.set(`${homeOf(name)}/package.json`, JSON.stringify({ name, dependencies }));
    tree.set(`${homeOf(name)}/tsconfig.json`, projectFile(imported.map((other) => `../../${homeOf(other)}`)));
  }
  const homes = Object.keys(rules.mayImport).map((name) => homeOf(name));
  tree.set("tsconfig.json", projectFile([...homes, "tsconfig.tests.json"]));
  tree.set("tsconfig.tests.json", projectFile(homes));
  for (const [path, text] of Object.entries(files)) tree.set(path, text);
  return tree;
}

function faultsOf(files: Readonly<Record<string, string>>): string[] {
  return checkArchitecture(treeWith(files), rules);
}

const nothingUnusual = {
  "services/writer/src/a.ts": `import { readFile } from "node:fs";\nimport { b } from "./b.ts";\nimport { Bus } from "@sluice/bus";\n`,
  "services/writer/src/b.ts": `import type { A } from "./a.ts";\nimport { type Row } from "@sluice/wire";\nexport const b = 1;\n`,
  "services/writer/src/b.sample.ts": `import { spawn } from "@sluice/testkit";\n`,
  "services/writer/src/b.test.ts": `import { spawn } from "@sluice/testkit";\nimport { Redis } from "ioredis";\nprocess.exit(1);\n`,
  "libs/bus/src/bus.ts": `export { connect } from "@nats-io/transport-node";\n// import "@sluice/writer"\nconst text = 'from "@sluice/writer"';\n`,
  "apps/cli/src/main.ts": `const program = import.meta.resolve("@sluice/writer/main");\nprocess.exit(program === "" ? 1 : 0);\n`,
  "apps/cli/src/commands/become-program.ts": "await import(program);\n",
  "apps/cli/src/start.ts": "const program = import.meta.resolve(`@sluice/${name}/main`);\n",
};

describe("the checker", () => {
  test("is content with what is allowed", () => {
    expect(faultsOf(nothingUnusual)).toEqual([]);
  });

  test.each([
    [
      "import { Writer } from '@sluice/writer';",
      "import of @sluice/writer; allowed: @sluice/ingest may import @sluice/redis, ",
    ],
    ["import type { Writer } from '@sluice/writer';", "import of @sluice/writer;"],
    ["type W = import('@sluice/writer').Writer;", "import of @sluice/writer;"],
    ["export * from '@sluice/writer';", "export from of @sluice/writer;"],
    ["const late = await import('@sluice/writer');", "import() of @sluice/writer;"],
    ["const late = await import(`@sluice/writer`);", "import() of @sluice/writer;"],
    ["const late = await import(name);", "import() of a computed target;"],
    ["import { createRequire } from 'node:module';", "createRequire; allowed: import"],
    ["const writer = require('@sluice/writer');", "require() of @sluice/writer;"],
    ["import { Writer } from '../../writer/src/index.ts';", "import of ../../writer/src/index.ts leaves services/ingest;"],
    ["import { x } from './a.test.ts';", "import of the test ./a.test.ts;"],
    ["import { x } from './a.sample.ts';", "import of the test ./a.sample.ts;"],
    ["import { x } from '@sluice/redis/src/slot.ts';", "import of @sluice/redis/src/slot.ts; allowed: @sluice/redis,"],
    ["import { spawn } from '@sluice/testkit';", "import of @sluice/testkit;"],
    ["import { connect } from '@nats-io/transport-node';", "import of @nats-io/transport-node; allowed: only in @sluice/bus"],
    ["import { Redis } from 'ioredis';", "import of ioredis; allowed: only in @sluice/coordinator, @sluice/router, "],
    ["const program = import.meta.resolve('@sluice/writer/main');", "import.meta.resolve() of @sluice/writer/main;"],
    ["const program = import.meta.resolve(name);", "import.meta.resolve() of a computed target;"],
    ["process.exit(1);", "process.exit; allowed: only in libs/runtime/, apps/"],
    ["import { exit } from 'node:process';", "process.exit;"],
  ])("refuses in a service: %s", (source, expected) => {
    const faults = faultsOf({ "services/ingest/src/a.ts": `// first line\n${source}\n` });
    expect(
      faults.some((fault) => fault.startsWith(`services/ingest/src/a.ts:2: ${expected}`)),
      faults.join("\n"),
    ).toBe(true);
  });

  test.each(["redis", "wire", "runtime"])("refuses any own import in libs/%s", (name) => {
    const faults = faultsOf({ [`libs/${name}/src/a.ts`]: `import { Bus } from "@sluice/bus";\n` });
    expect(faults).toEqual([expect.stringContaining(`allowed: @sluice/${name} may import none of our packages`)]);
  });

  test("refuses an import of what may only be started", () => {
    const faults = faultsOf({ "apps/cli/src/a.ts": `import { Writer } from "@sluice/writer";\n` });
    expect(faults).toEqual([expect.stringContaining("allowed: @sluice/cli may import @sluice/wire")]);
  });

  test("refuses an import that the table allows and package.json does not declare", () => {
    const manifest = JSON.stringify({ name: "@sluice/bus", dependencies: { "@sluice/wire": "0.1.0" } });
    const faults = faultsOf({
      "libs/bus/package.json": manifest,
      "libs/bus/tsconfig.json": `{ "references": [{ "path": "../wire" }] }`,
      "libs/bus/src/a.ts": `import { codes } from "@sluice/runtime";\n`,
    });
    expect(faults).toEqual([expect.stringMatching(/^libs\/bus\/src\/a\.ts:1: .*libs\/bus\/package\.json does not declare/)]);
  });

  test("refuses a package that the table does not know, a dependency it forbids, and references that differ", () => {
    const faults = faultsOf({
      "libs/extra/package.json": `{ "name": "@sluice/extra" }`,
      "libs/wire/package.json": `{ "name": "@sluice/wire", "dependencies": { "@sluice/redis": "0.1.0" } }`,
    });
    expect(faults).toEqual([
      "libs/extra/package.json:1: @sluice/extra has no entry in the table of who may import whom",
      "libs/wire/package.json:1: depends on @sluice/redis; allowed: none of our packages",
      "libs/wire/tsconfig.json:1: no reference to libs/redis; allowed: the dependencies that it imports, all of them",
      "tsconfig.json:1: no reference to libs/extra; allowed: every package, and the tests, all of them",
      "tsconfig.tests.json:1: no reference to libs/extra; allowed: every package, all of them",
    ]);
  });

  test("refuses a source that is in no package", () => {
    expect(faultsOf({ "services/a.ts": "" })).toEqual(["services/a.ts:1: no package holds it; allowed: a package"]);
  });

  test("refuses a cycle between files, unless one way is for types only", () => {
    const a = `import { b } from "./b.ts";\n`;
    const c = `export * from "./a.ts";\n`;
    const cycle = (b: string): string[] =>
      faultsOf({ "libs/redis/src/a.ts": a, "libs/redis/src/b.ts": b, "libs/redis/src/c.ts": c });
    expect(cycle(`import { type C } from "./c.ts";\n`)).toEqual([]);
    expect(cycle(`import { c } from "./c.ts";\n`)).toEqual([
      "libs/redis/src/c.ts:1: cycle libs/redis/src/a.ts -> libs/redis/src/b.ts -> libs/redis/src/c.ts -> libs/redis/src/a.ts; allowed: import type, or one way",
    ]);
  });

  test.each([
    ["libs/redis/src/a.ts", 400],
    ["services/writer/src/main.ts", 60],
    ["libs/redis/src/a.test.ts", 400],
  ])("refuses %s above %i lines", (path, limit) => {
    expect(faultsOf({ [path]: "void 0;\n".repeat(limit) })).toEqual([]);
    expect(faultsOf({ [path]: "void 0;\n".repeat(limit + 1) })).toEqual([
      `${path}:${limit + 1}: ${limit + 1} lines; allowed: ${limit}`,
    ]);
  });

  test("lets generated tables be long", () => {
    expect(faultsOf({ "libs/redis/src/a.generated.ts": "void 0;\n".repeat(401) })).toEqual([]);
  });

  test.each(["libs/redis/src/utils.ts", "libs/redis/src/common/slot.ts", "tools/lane-manager.ts", "test/e2e/types.test.ts"])(
    "refuses the name %s",
    (path) => {
      expect(faultsOf({ [path]: "" })).toContainEqual(expect.stringMatching(/: the name ".*"; allowed: the noun/));
    },
  );

  test("takes an empty word for part of a name that says something", () => {
    expect(faultsOf({ "libs/redis/src/data-steps.ts": "", "libs/redis/src/database.ts": "" })).toEqual([]);
  });

  test("refuses a test where no vitest project looks", () => {
    expect(faultsOf({ "libs/redis/test/a.test.ts": "" })).toEqual([
      expect.stringContaining("a test that no vitest project runs"),
    ]);
  });

  test("refuses decision records that are long, misnamed, doubled or incomplete", () => {
    const record = "# One\n\n## Context\n\n## Decision\n\n## Consequences\n";
    expect(faultsOf({ "docs/decisions/0001-one.md": record })).toEqual([]);
    expect(
      faultsOf({
        "docs/decisions/0001-one.md": record + "\n".repeat(60),
        "docs/decisions/0001-two.md": record,
        "docs/decisions/three.md": "# Three\n\n## Context\n\n## Decision\n",
      }),
    ).toEqual([
      "docs/decisions/0001-one.md:67: 67 lines; allowed: 60",
      "docs/decisions/0001-two.md:1: number 0001; allowed: the next, docs/decisions/0001-one.md has this one",
      "docs/decisions/three.md:1: name; allowed: NNNN-title-in-kebab-case.md",
      'docs/decisions/three.md:1: no section "## Consequences"; allowed: all three',
    ]);
  });

  test("names the file that is not TypeScript", () => {
    expect(() => faultsOf({ "libs/redis/src/a.ts": "import {" })).toThrow("libs/redis/src/a.ts: expected TypeScript");
  });
});
