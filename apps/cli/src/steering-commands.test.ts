import { expect, test } from "vitest";
import { pipelineStatus, precheckReport, type PipelineStatus } from "@sluice/wire";
import type { SampleRequest } from "./api/api-server.sample.ts";
import { runOn, samplePipelineFile, WRITTEN } from "./program-run.sample.ts";
import { samplePipeline } from "./view/pipeline-status.sample.ts";
import { failing, sampleReport, sampleResult } from "./view/precheck-report.sample.ts";

const refused = (code: string, status = 409) =>
  [status, { error: { code, message: `no: ${code}`, remedy: "Do so." } }] as const;
const unknown = refused("PIP-002", 404);

/** An API that shows these statuses one after the other once something was posted, and `before` until then. */
function showing(statuses: readonly PipelineStatus[], before: PipelineStatus | null, posted: readonly [number, unknown]) {
  let isAsked = false;
  let shown = 0;
  return ({ method, path }: SampleRequest): readonly [number, unknown] => {
    if (method !== "GET") {
      isAsked = true;
      return posted;
    }
    if (path.endsWith("/precheck")) return [200, sampleReport(sampleResult(), failing)];
    if (!isAsked) return before === null ? unknown : [200, before];
    return [200, statuses[Math.min(shown++, statuses.length - 1)]];
  };
}

const created = [201, { name: "orders", outcome: "created" }] as const;
const checking = samplePipeline({ state: "prechecking", desired: "checking", reason: "its prechecks run" });
const copying = samplePipeline({ state: "copying" });

test("start posts the pipeline of a file and follows it until it runs", async () => {
  await using file = await samplePipelineFile();
  const run = await runOn(showing([checking, copying], null, created), "start", file.path);
  expect(run.code).toBe(0);
  expect(run.requests[1]).toMatchObject({
    method: "POST",
    path: "/api/v1/pipelines",
    body: { pipeline: WRITTEN, start: true },
  });
  expect(run.printed).toMatchInlineSnapshot(`
    "prechecking · its prechecks run
    orders is copying
    "
  `);
  expect(run.complained).toMatchInlineSnapshot(`
    "it goes on by itself; to watch it: sluice status orders --watch; to stop it: sluice stop orders
    "
  `);
});

test("a start that a precheck forbids: 1, the failing checks with their fix, and how to waive them", async () => {
  await using file = await samplePipelineFile();
  const blocked = samplePipeline({ state: "blocked", desired: "checking", since: 2_000, reason: "DST-009 …" });
  const run = await runOn(showing([checking, blocked], null, created), "start", file.path);
  expect(run.code).toBe(1);
  expect(run.complained).toMatchInlineSnapshot(`
    "sluice: orders may not start: a precheck fails

    FAIL destination-empty · destination main · DST-009 · the destination is empty
      found     12 keys\\x07
      expected  no keys
      why       \`existing: refuse\`
      fix       Empty it.

    Mend it and start again. What you know of and want all the same: --ignore destination-empty="why"; what can't work is refused even so.
    More: sluice explain DST-009
    "
  `);
  const asJson = await runOn(showing([checking, blocked], null, created), "start", file.path, "--json");
  expect(asJson).toMatchObject({ code: 1, printed: "" });
  expect(JSON.parse(asJson.complained)).toMatchObject({ error: { code: "DST-009" } });
});

test("what an earlier start was blocked for is no answer to this one", async () => {
  const blocked = samplePipeline({ state: "blocked", desired: "checking", reason: "DST-009 …" });
  const run = await runOn(showing([blocked, checking, copying], blocked, [202, copying]), "start", "orders", "--json");
  expect(run.code).toBe(0);
  expect(pipelineStatus.parse(JSON.parse(run.printed)).state).toBe("copying");
});

test("start of a name, with waivers and a new copy; with --no-wait nothing is followed", async () => {
  const args = ["start", "orders", "--copy", "--no-wait", "--ignore", "source-wait=known, and = wanted", "big-keys"];
  const run = await runOn(showing([checking], copying, [202, copying]), ...args);
  expect(run.code).toBe(0);
  const ignore = [
    { id: "source-wait", reason: "known, and = wanted" },
    { id: "big-keys", reason: "" },
  ];
  expect(run.requests[1]).toMatchObject({ path: "/api/v1/pipelines/orders/start", body: { copy: true, ignore } });
  expect(run.printed).toBe("the start of orders is asked for\n");
});

test("start --follow shows it until Ctrl-C, and says how to go on", async () => {
  const statuses = [copying, copying, samplePipeline()];
  const show = showing(statuses, copying, [202, copying]);
  const run = await runOn(
    (request, count) => {
      if (count === 6) process.emit("SIGINT");
      return show(request);
    },
    "start",
    "orders",
    "--follow",
  );
  expect(run.code).toBe(0);
  expect(run.printed).toContain("synchronizing · ");
  expect(run.complained).toContain("to watch it: sluice status orders --watch");
  expect(process.listenerCount("SIGINT")).toBe(0);
});

test("create keeps it and starts nothing", async () => {
  await using file = await samplePipelineFile();
  const run = await runOn(() => created, "create", file.path);
  expect(run).toMatchObject({ code: 0, printed: "orders is created\nto start it: sluice start orders\n" });
  expect(run.requests[0]?.body).toEqual({ pipeline: WRITTEN, start: false });
});

test("precheck of a file: a table, 1 when a check fails", async () => {
  await using file = await samplePipelineFile();
  const answer = () => [200, sampleReport(sampleResult(), failing)] as const;
  const run = await runOn(answer, "precheck", file.path, "--only", "destination-empty", "source-backlog");
  expect(run.code).toBe(1);
  expect(run.requests[0]).toMatchObject({
    path: "/api/v1/prechecks",
    body: { pipeline: WRITTEN, only: ["destination-empty", "source-backlog"] },
  });
  expect(run.printed).toContain("FAIL  destination-empty  destination main      12 keys\\x07");
  expect(run.complained).toMatch(/^sluice: orders may not start: a precheck fails\nMend it/);
  expect(precheckReport.parse(JSON.parse((await runOn(answer, "precheck", file.path, "--json")).printed)).verdict).toBe("fail");
});

test("precheck of a name, or what was found last: 0 where none fails", async () => {
  const answer = () => [200, sampleReport(sampleResult({ level: "warn" }))] as const;
  expect(await runOn(answer, "precheck", "orders")).toMatchObject({
    code: 0,
    asked: ["POST /api/v1/pipelines/orders/precheck"],
  });
  expect(await runOn(answer, "precheck", "orders", "--last")).toMatchObject({
    code: 0,
    asked: ["GET /api/v1/pipelines/orders/precheck"],
  });
  expect((await runOn(answer, "precheck", "orders", "--last", "--only", "big-keys")).code).toBe(2);
  expect((await runOn(answer, "precheck", "orders", "--ignore", "Big Keys=x")).code).toBe(2);
});

test("pause and stop are followed until they are done", async () => {
  const paused = samplePipeline({ state: "paused", desired: "paused" });
  const pause = await runOn(showing([samplePipeline(), paused], null, [202, paused]), "pause", "orders");
  expect(pause).toMatchObject({ code: 0, asked: expect.arrayContaining(["POST /api/v1/pipelines/orders/pause"]) as string[] });
  expect(pause.printed).toContain("orders is paused; what the source writes is stored meanwhile\n");
  const stopped = samplePipeline({ state: "stopped", desired: "stopped", reason: "stopped by the operator; all is applied" });
  const stop = await runOn(showing([samplePipeline(), stopped], null, [202, stopped]), "stop", "orders");
  expect(stop).toMatchObject({ code: 0, printed: "orders is stopped: all is applied\n", complained: "" });
  expect(stop.requests[0]).toMatchObject({ path: "/api/v1/pipelines/orders/stop", body: { within: "600s" } });
});

// Mutation: stop-command.ts, without `onWaiting`: it is silent for as long as the lanes take.
test("a stop that lasts says what it waits for, as often as that is something else, and takes the time that it is given", async () => {
  const drains = samplePipeline({ desired: "stopped", reason: "stopping: lane main.s0.0 still applies what is stored" });
  const waits = samplePipeline({
    state: "retrying",
    desired: "stopped",
    reason: "stopping: lane main.s0.0 still applies what is stored; lane main.s0.0 waits for destination main: DST-001 refused",
  });
  const stopped = samplePipeline({ state: "stopped", desired: "stopped", reason: "stopped by the operator; what is left …" });
  const shown = showing([drains, drains, waits, stopped], null, [202, drains]);
  const stop = await runOn(shown, "stop", "orders", "--within", "1h");
  expect(stop.requests[0]).toMatchObject({ body: { within: "3600s" } });
  expect(stop.printed).toBe("orders is stopped: what is left …\n");
  expect(stop.complained).toMatchInlineSnapshot(`
    "orders is stopping, for 1 h 0 min at most; sluice stop orders --within 0s ends it
    stopping: lane main.s0.0 still applies what is stored
    stopping: lane main.s0.0 still applies what is stored; lane main.s0.0 waits for destination main: DST-001 refused
    "
  `);
  expect((await runOn(shown, "stop", "orders", "--within", "long")).code).toBe(2);
});

// Mutations: until-state.ts, what is thrown by a poll ends the wait; `isWanted` not asked: it polls until the time is up.
test("a stop bears a coordinator that goes, and ends once something else is wanted of the pipeline", async () => {
  const drains = samplePipeline({ desired: "stopped", reason: "stopping: lane main.s0.0 still applies what is stored" });
  const stopped = samplePipeline({ state: "stopped", desired: "stopped", reason: "stopped by the operator; all is applied" });
  const behindTakeover = (last: PipelineStatus) => {
    const show = showing([drains, last], null, [202, drains]);
    let polls = 0;
    return (request: SampleRequest) => (request.method === "GET" && ++polls === 2 ? refused("SLU-003", 503) : show(request));
  };
  const stop = await runOn(behindTakeover(stopped), "stop", "orders");
  expect(stop).toMatchObject({ code: 0, printed: "orders is stopped: all is applied\n" });
  const resumed = await runOn(behindTakeover(samplePipeline()), "stop", "orders");
  expect(resumed).toMatchObject({ code: 1, printed: "" });
  expect(resumed.complained).toContain("orders is not to stop any more: something else was asked for since");
  expect(resumed.complained).toContain("wanted of it is `running`, and it is synchronizing");
});

const failed = samplePipeline({ state: "failed", desired: "failed", reason: "DST-019 …" });
const outlook = { outcome: "copies", why: "the source keeps no backlog", isChanged: false, status: failed } as const;

test("resume says first what it will do, then does it", async () => {
  const show = showing([failed, copying], failed, [202, outlook]);
  const run = await runOn(show, "resume", "orders");
  expect(run.code).toBe(0);
  expect(run.asked.slice(0, 2)).toEqual([
    "POST /api/v1/pipelines/orders/resume?dryRun=true",
    "POST /api/v1/pipelines/orders/resume",
  ]);
  expect(run.printed).toMatch(/^orders copies anew: the source keeps no backlog\n[^]*orders is copying\n$/);
  const onlySaid = await runOn(() => [200, { ...outlook, outcome: "continues" }], "resume", "orders", "--dry-run");
  expect(onlySaid).toMatchObject({ code: 0, printed: "orders goes on from where it is: the source keeps no backlog\n" });
  expect(onlySaid.asked).toHaveLength(1);
});

test("edit says what differs and whether the checkpoint is kept", async () => {
  await using file = await samplePipelineFile();
  const edited = {
    name: "orders",
    changed: ["source.url"],
    checkpoint: "kept",
    why: "the history is the same",
    isChanged: false,
    groups: [],
  };
  const run = await runOn(() => [200, edited], "edit", file.path, "--dry-run");
  expect(run).toMatchObject({ code: 0, asked: ["PUT /api/v1/pipelines/orders?dryRun=true"] });
  expect(run.requests[0]?.body).toEqual(WRITTEN);
  expect(run.printed).toMatchInlineSnapshot(`
    "orders: a field differs
      source.url
    checkpoint kept: the history is the same
    nothing was changed: --dry-run
    "
  `);
  const copies = { ...edited, checkpoint: "copies", why: "another history", isChanged: true };
  expect((await runOn(() => [200, copies], "edit", file.path)).printed).toContain("copies anew: another history\nchanged\n");
  expect((await runOn(() => [200, { ...edited, changed: [] }], "edit", file.path)).printed).toBe(
    "orders is as the file says already\n",
  );
});

// Mutation: edit-command.ts, the edit without the dry run before it: what is said of the group comes when it is done.
test("edit says what becomes of groups before it does it", async () => {
  await using file = await samplePipelineFile();
  const group = { group: "more", change: "added", text: "group more is added: it is copied anew" };
  const edited = {
    name: "orders",
    changed: ["destinations[more]"],
    checkpoint: "kept",
    why: "",
    isChanged: true,
    groups: [group],
  };
  const run = await runOn(() => [200, edited], "edit", file.path);
  expect(run.asked).toEqual(["PUT /api/v1/pipelines/orders?dryRun=true", "PUT /api/v1/pipelines/orders"]);
  expect(run.printed).toMatchInlineSnapshot(`
    "group more is added: it is copied anew
    orders: a field differs
      destinations[more]
    the other groups: checkpoint kept
    changed
    "
  `);
});

test("delete asks for nothing that nobody can answer, and does what it is told", async () => {
  const deleted = [200, { name: "orders", outcome: "deleted", marksStay: true }] as const;
  expect(await runOn(() => deleted, "delete", "orders")).toMatchObject({ code: 2, asked: [] });
  const run = await runOn(() => deleted, "delete", "orders", "--force", "--yes");
  expect(run).toMatchObject({ code: 0, asked: ["DELETE /api/v1/pipelines/orders?force=true"] });
  expect(run.printed).toMatch(/^orders is deleted\n/);
  const running = await runOn(() => refused("PIP-013"), "delete", "orders", "--yes");
  expect(running).toMatchObject({
    code: 1,
    complained: "sluice: PIP-013: no: PIP-013\nDo so.\nMore: sluice explain PIP-013\n",
  });
});
