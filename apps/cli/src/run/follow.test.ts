import { describe, expect, test } from "vitest";
import type { PipelineStatus } from "@sluice/wire";
import { ApiClient } from "../api/api-client.ts";
import { startSampleApi } from "../api/api-server.sample.ts";
import { sampleLane, samplePipeline } from "../view/pipeline-status.sample.ts";
import { Screen } from "../view/screen.ts";
import { drain, follow } from "./follow.ts";

function screenOf() {
  const lines: string[] = [];
  return { screen: new Screen({ write: (text: string) => lines.push(text.trimEnd()) }), lines };
}

/** Runs `act` on an API that shows these statuses one after the other, the last one for ever. */
async function through<T>(statuses: readonly PipelineStatus[], act: (api: ApiClient) => Promise<T>): Promise<T> {
  let shown = 0;
  await using server = await startSampleApi(({ method }) =>
    method === "POST" ? [200, {}] : [200, statuses[Math.min(shown++, statuses.length - 1)]],
  );
  return await act(new ApiClient(server.address));
}

const live = new AbortController().signal;
const failedAt = (at: number) =>
  samplePipeline({
    state: "failed",
    lanes: [sampleLane({ halt: { code: "DST-004", message: "WRONGTYPE", remedy: "Copy anew.", at } })],
  });

describe("follow", () => {
  test("shows the way from the copy to the end", async () => {
    const { screen, lines } = screenOf();
    const way = [
      samplePipeline({ state: "copying" }),
      samplePipeline(),
      samplePipeline({ state: "stopped", desired: "stopped" }),
    ];
    expect(await through(way, async (api) => follow(api, "orders", screen, live))).toBe("stopped");
    expect(lines[0]).toMatch(/^copying 100 % · 1 000 of 1 000 keys/);
    expect(lines[1]).toMatch(/^copied 1 000 keys, 40 kB, in [\d.]+ s$/);
    expect(lines[2]).toMatch(/^synchronizing · /);
    expect(lines.length).toBe(3);
  });

  test("a failure of an earlier run does not count, one of this run does", async () => {
    const { screen } = screenOf();
    const way = [failedAt(Date.now() - 60_000), failedAt(Date.now() + 60_000)];
    const failing = through(way, async (api) => follow(api, "orders", screen, live));
    await expect(failing).rejects.toMatchObject({
      message: "orders failed: DST-004 in lane main.s0.0: WRONGTYPE",
      remedy: "Copy anew.",
    });
  });

  test("what the prechecks of this run forbid ends it, with the reason", async () => {
    const { screen } = screenOf();
    const blocked = (since: number) => samplePipeline({ state: "blocked", since, reason: "SRC-001 source: refused" });
    const way = [blocked(Date.now() - 60_000), samplePipeline({ state: "prechecking" }), blocked(Date.now() + 60_000)];
    const failing = through(way, async (api) => follow(api, "orders", screen, live));
    await expect(failing).rejects.toMatchObject({ message: "orders may not start: SRC-001 source: refused" });
  });

  test("ends when it is interrupted", async () => {
    const { screen } = screenOf();
    expect(await through([samplePipeline()], async (api) => follow(api, "orders", screen, AbortSignal.timeout(20)))).toBe(
      "interrupted",
    );
  });
});

describe("drain", () => {
  test("waits until the pipeline is stopped and says what that means", async () => {
    const { screen, lines } = screenOf();
    const stopped = samplePipeline({ state: "stopped", lanes: [sampleLane({ appliedOffset: 5_100 })] });
    expect(await through([samplePipeline(), stopped], async (api) => drain(api, "orders", screen))).toBe(
      "stopped · everything that is stored is applied",
    );
    expect(lines).toEqual(["stopping · 100 B are stored and not applied yet; the next start applies them"]);
  });
});
