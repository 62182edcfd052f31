import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { startSampleApi, type SampleRequest } from "./api/api-server.sample.ts";
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

test("start posts the pipeline of a file, its password read where the command runs", async () => {
  const requests: SampleRequest[] = [];
  await using server = await startSampleApi((request) => {
    requests.push(request);
    return [201, {}];
  });
  const folder = await mkdtemp(join(tmpdir(), "sluice-start-"));
  try {
    const file = join(folder, "orders.yaml");
    const source = "{ url: redis://a:1, password: { file: password } }";
    await writeFile(join(folder, "password"), "hunter2\n");
    await writeFile(file, `name: orders\nsource: ${source}\ndestinations: [{ url: redis://b:2 }]\n`);
    expect(await runProgram(["start", file, "--api", server.address])).toBe(0);
  } finally {
    await rm(folder, { recursive: true });
  }
  const body = { name: "orders", source: { url: "redis://a:1", password: "hunter2" }, destinations: [{ url: "redis://b:2" }] };
  expect(requests).toEqual([{ method: "POST", path: "/api/v1/pipelines", body }]);
  expect(printed).toBe("orders is started\n");
});

test("a refusal: 1, with what to do and without a stack", async () => {
  await using server = await startSampleApi(() => [
    404,
    { error: { code: "PIP-002", message: "no pipeline x", remedy: "List them." } },
  ]);
  expect(await runProgram(["stop", "x", "--api", server.address])).toBe(1);
  expect(complained).toBe("sluice: PIP-002: no pipeline x\nList them.\n");
});
