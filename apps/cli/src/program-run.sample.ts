import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vi } from "vitest";
import { startSampleApi, type SampleRequest } from "./api/api-server.sample.ts";
import { runProgram } from "./run-program.ts";

export interface ProgramRun {
  readonly code: 0 | 1 | 2 | null;
  readonly printed: string;
  readonly complained: string;
  /** `GET /api/v1/pipelines`, in their order; and their bodies. */
  readonly asked: readonly string[];
  readonly requests: readonly SampleRequest[];
}

/** Runs a command line on an API that answers as told, and keeps what it writes. */
export async function runOn(
  answer: (request: SampleRequest, count: number) => readonly [number, unknown],
  ...args: readonly string[]
): Promise<ProgramRun> {
  const requests: SampleRequest[] = [];
  const asked: string[] = [];
  await using server = await startSampleApi((request) => {
    requests.push(request);
    asked.push(`${request.method} ${request.path}`);
    return answer(request, requests.length);
  });
  const written = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((name) =>
    vi.spyOn(process[name], "write").mockImplementation((text) => ((written[name] += String(text)), true)),
  );
  try {
    const code = await runProgram([...args, "--api", server.address]);
    return { code, printed: written.stdout, complained: written.stderr, asked, requests };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

export const WRITTEN = {
  name: "orders",
  source: { url: "redis://a:1", password: "hunter2" },
  destinations: [{ url: "redis://b:2" }],
};

/** The same as a file, its password in another one beside it. */
export async function samplePipelineFile() {
  const folder = await mkdtemp(join(tmpdir(), "sluice-file-"));
  const path = join(folder, "orders.yaml");
  await writeFile(join(folder, "password"), "hunter2\n");
  const source = "{ url: redis://a:1, password: { file: password } }";
  await writeFile(path, `name: orders\nsource: ${source}\ndestinations: [{ url: redis://b:2 }]\n`);
  return { path, [Symbol.asyncDispose]: async () => rm(folder, { recursive: true }) };
}
