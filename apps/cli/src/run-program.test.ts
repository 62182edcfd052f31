import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { codeAnswer, codeList } from "@sluice/wire";
import { startSampleApi, type SampleRequest } from "./api/api-server.sample.ts";
import { createProgram } from "./program.ts";
import { runProgram } from "./run-program.ts";
import { samplePipeline } from "./view/pipeline-status.sample.ts";

let printed = "";
let complained = "";

beforeEach(() => {
  printed = "";
  complained = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => ((printed += String(text)), true));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => ((complained += String(text)), true));
});
afterEach(() => {
  vi.restoreAllMocks();
});

test.each([
  [[]],
  [["nonsense"]],
  [["status", "--nonsense"]],
  [["wait", "orders"]],
  [["wait", "orders", "--for", "luck"]],
  [["run"]],
  [["start"]],
])("%j is called wrongly: 2", async (args) => {
  expect(await runProgram(args)).toBe(2);
  expect(complained).not.toBe("");
});

test.each([
  [["run", "f", "--writers", "0"]],
  [["wait", "o", "--for", "drained", "--timeout", "60"]],
  [["service", "writer", "--listen", "a:1"]],
])("%j has a value that can't be: 2", async (args) => expect(await runProgram(args)).toBe(2));

test("help is done: 0", async () => {
  expect(await runProgram(["run", "--help"])).toBe(0);
  expect(printed).toContain("--writers");
});

test("a word that is nearly right is answered with the right one", async () => {
  expect(await runProgram(["statsu"])).toBe(2);
  expect(complained).toContain("(Did you mean status?)");
  expect(await runProgram(["status", "--wach"])).toBe(2);
  expect(complained).toContain("(Did you mean --watch?)");
});

test("every command says how it is called", async () => {
  for (const { name } of createProgram(() => undefined).commands.map((command) => ({ name: command.name() }))) {
    if (name === "demo") continue;
    printed = "";
    expect(await runProgram(["help", name])).toBe(0);
    expect(printed).toContain(`Usage: sluice ${name} `);
    expect(printed).toMatch(name === "schema" ? /^Usage/ : new RegExp(`\\n  \\$ sluice ${name}( |\\n|$)`));
  }
  expect(await runProgram(["--version"])).toBe(0);
});

test("explain needs no service", async () => {
  expect(await runProgram(["explain", "pip-002"])).toBe(0);
  expect(printed).toMatchInlineSnapshot(`
    "PIP-002
    There is no pipeline of this name.

    What to do: \`sluice status\` without a name lists the pipelines.
    "
  `);
  printed = "";
  expect(await runProgram(["explain", "PIP-002", "--json"])).toBe(0);
  expect(codeAnswer.parse(JSON.parse(printed)).code).toBe("PIP-002");
  printed = "";
  expect(await runProgram(["explain", "--json"])).toBe(0);
  expect(codeList.parse(JSON.parse(printed)).codes.length).toBeGreaterThan(50);
  expect(await runProgram(["explain", "PIP-999"])).toBe(1);
  expect(await runProgram(["explain", "constructor"])).toBe(1);
});

test("schema is what editors take", async () => {
  expect(await runProgram(["schema"])).toBe(0);
  const schema = JSON.parse(printed) as Record<string, unknown>;
  expect(schema).toMatchObject({
    $schema: "https://json-schema.org/draft/2020-12/schema",
    type: "object",
    required: ["name", "source", "destinations"],
    properties: { retryWindow: { default: "720m" }, lanes: { type: "integer", default: 16 } },
    additionalProperties: false,
  });
});

test("status in both forms", async () => {
  const status = samplePipeline();
  await using server = await startSampleApi(() => [200, status]);
  expect(await runProgram(["status", "orders", "--api", server.address, "--json"])).toBe(0);
  expect(JSON.parse(printed)).toEqual(status);
  printed = "";
  expect(await runProgram(["status", "orders", "--api", server.address])).toBe(0);
  expect(printed).toContain("main.s0 ");
  expect(printed).not.toContain("main.s0.0");
  expect(await runProgram(["status", "orders", "--api", server.address, "--lanes"])).toBe(0);
  expect(printed).toContain("main.s0.0  writer-1");
});

const settling = { isRemarked: false, slots: null, looked: 2_500, expected: 5_000, settled: 800, retry: null, halt: null };
const cutover = { phase: "settling", isForced: false, reason: "settling …", since: 1, drainedAt: {} } as const;

test("cutover asks for it, shows it and ends when it is done", async () => {
  const requests: SampleRequest[] = [];
  const underWay = samplePipeline({
    state: "cutting-over",
    cutover: { ...cutover, groups: { main: { ...settling, isDone: false } } },
  });
  const done = samplePipeline({
    state: "cut-over",
    desired: "cut-over",
    cutover: { ...cutover, phase: "done", groups: { main: { ...settling, looked: 5_000, settled: 1_600, isDone: true } } },
  });
  await using server = await startSampleApi((request) => {
    requests.push(request);
    return [200, requests.length < 3 ? underWay : done];
  });
  expect(await runProgram(["cutover", "orders", "--api", server.address])).toBe(0);
  expect(requests[0]).toEqual({ method: "POST", path: "/api/v1/pipelines/orders/cutover", body: { force: false } });
  expect(printed).toMatch(/main 2.500 of 5.000 keys/);
  expect(printed).toMatch(/orders is cut over: 1.600 expiries among 5.000 keys of main set right/);
  expect(await runProgram(["status", "orders", "--api", server.address])).toBe(0);
  expect(printed).toContain("CUT-OVER OF");
});

test("cutover by force, and without waiting; one that fails or is taken back: 1", async () => {
  const requests: SampleRequest[] = [];
  let status = samplePipeline({ state: "cutting-over", cutover: { ...cutover, groups: {} } });
  await using server = await startSampleApi((request) => {
    requests.push(request);
    return [200, status];
  });
  expect(await runProgram(["cutover", "orders", "--force", "--no-wait", "--api", server.address])).toBe(0);
  expect(requests.map(({ body }) => body)).toEqual([{ force: true }]);
  status = samplePipeline({ state: "failed", reason: "cutting over: DST-013 slots moved" });
  expect(await runProgram(["cutover", "orders", "--api", server.address])).toBe(1);
  expect(complained).toContain("DST-013 slots moved");
  status = samplePipeline({ cutover: { ...cutover, phase: "cancelled", groups: {} } });
  expect(await runProgram(["cutover", "orders", "--api", server.address])).toBe(1);
  expect(complained).toContain("was taken back");
});

// Mutation: cutover-command.ts, every `failed` is final.
test("a pipeline that had failed before its cut-over was asked for is waited for; one that fails behind it is not", async () => {
  const asked = { ...cutover, phase: "stopping" as const, since: 100, groups: {} };
  const statuses = [
    samplePipeline({ state: "failed", since: 50, reason: "lane main.s0.0: DST-004", cutover: asked }),
    samplePipeline({ state: "failed", since: 50, reason: "lane main.s0.0: DST-004", cutover: asked }),
    samplePipeline({ state: "failed", since: 101, reason: "cutting over: DST-013 slots moved", cutover: asked }),
  ];
  let requests = 0;
  await using server = await startSampleApi(() => [200, statuses[Math.min(requests++, 2)]]);
  expect(await runProgram(["cutover", "orders", "--force", "--api", server.address])).toBe(1);
  expect(requests).toBe(3);
  expect(complained).toContain("DST-013 slots moved");
});

test("settle posts the pipeline of a file", async () => {
  const requests: SampleRequest[] = [];
  await using server = await startSampleApi((request) => {
    requests.push(request);
    return [202, {}];
  });
  const folder = await mkdtemp(join(tmpdir(), "sluice-settle-"));
  try {
    const file = join(folder, "orders.yaml");
    await writeFile(file, "name: orders\nsource: { url: redis://a:1 }\ndestinations: [{ url: redis://b:2 }]\n");
    expect(await runProgram(["settle", file, "--no-wait", "--api", server.address])).toBe(0);
  } finally {
    await rm(folder, { recursive: true });
  }
  const body = { name: "orders", source: { url: "redis://a:1" }, destinations: [{ url: "redis://b:2" }] };
  expect(requests).toEqual([{ method: "POST", path: "/api/v1/settle", body }]);
});

test("a refusal: 1, with what to do and without a stack", async () => {
  await using server = await startSampleApi(() => [
    404,
    { error: { code: "PIP-002", message: "no pipeline x", remedy: "List them." } },
  ]);
  expect(await runProgram(["stop", "x", "--api", server.address])).toBe(1);
  expect(complained).toBe("sluice: PIP-002: no pipeline x\nList them.\nMore: sluice explain PIP-002\n");
});
