import { expect, test } from "vitest";
import { apiEvent, pipelineList, pipelineStatus } from "@sluice/wire";
import { runOn } from "./program-run.sample.ts";
import { samplePipeline } from "./view/pipeline-status.sample.ts";

const list = { pipelines: [{ name: "orders", state: "blocked", desired: "checking", since: 0, reason: "DST-009 12 keys" }] };
const events = [1, 2].map((id) => ({ id, at: id * 86_400_000, kind: "retry", text: `gone\u0007 ${id}`, pipeline: "orders" }));
const sent = events.map((event) => `id: ${event.id}\nevent: event\ndata: ${JSON.stringify(event)}\n\n`).join("");

test("ls, for people and for programs", async () => {
  expect((await runOn(() => [200, list], "ls")).printed).toMatch(
    /^PIPELINE {2}STATE +SINCE +REASON\norders +blocked +\d+ h \d+ min +DST-009 12 keys\n$/,
  );
  const run = await runOn(() => [200, list], "ls", "--json");
  expect(run.code).toBe(0);
  expect(pipelineList.parse(JSON.parse(run.printed))).toEqual(list);
});

test("status --watch goes on while the API is away, one object a line, until Ctrl-C", async () => {
  const run = await runOn(
    (_, count) => {
      if (count === 3) process.emit("SIGINT");
      return count === 2 ? [503, {}] : [200, samplePipeline()];
    },
    "status",
    "orders",
    "--watch",
    "--json",
  );
  expect(run.code).toBe(0);
  expect(
    run.printed
      .trim()
      .split("\n")
      .map((line) => pipelineStatus.parse(JSON.parse(line)).state),
  ).toEqual(["synchronizing", "synchronizing"]);
  expect(JSON.parse(run.complained)).toMatchObject({ error: { message: expect.stringContaining("503") as string } });
});

test("events: the newest, a line each, what they say made harmless", async () => {
  const run = await runOn(() => [200, { events }], "events", "orders", "--last", "2");
  expect(run).toMatchObject({ code: 0, asked: ["GET /api/v1/pipelines/orders/events?limit=2"] });
  expect(run.printed).toMatchInlineSnapshot(`
    "1970-01-02 00:00:00Z  orders  retry     gone\\x07 1
    1970-01-03 00:00:00Z  orders  retry     gone\\x07 2
    "
  `);
  expect((await runOn(() => [200, { events: [] }], "events")).complained).toBe("nothing has happened yet\n");
  expect((await runOn(() => [200, {}], "events", "--last", "0")).code).toBe(2);
});

test("events --follow: those that are kept and those that come, until Ctrl-C", async () => {
  const answer = (): readonly [number, unknown] => {
    setTimeout(() => process.emit("SIGINT"), 50);
    return [200, sent];
  };
  const run = await runOn(answer, "events", "--follow");
  expect(run).toMatchObject({ code: 0, complained: "to go on: sluice events --follow\n" });
  expect(run.printed.split("\n")).toHaveLength(3);
  const asJson = await runOn(answer, "events", "orders", "--follow", "--json");
  expect(
    asJson.printed
      .trim()
      .split("\n")
      .map((line) => apiEvent.parse(JSON.parse(line))),
  ).toEqual(events);
  expect(asJson.complained).toBe("");
});

test("wait, for programs", async () => {
  const run = await runOn(() => [200, samplePipeline()], "wait", "orders", "--for", "synchronizing", "--json");
  expect(run.code).toBe(0);
  expect(pipelineStatus.parse(JSON.parse(run.printed)).name).toBe("orders");
});
