import { NatsServer, RedisServer, waitUntil } from "@sluice/testkit";
import type { FilterPreview, PipelineStatus, PrecheckReport } from "@sluice/wire";
import { expect, test } from "vitest";
import { faultsOfOpenApi } from "../../libs/wire/src/openapi-check.sample.ts";
import { Curl } from "./curl-client.ts";
import { Services } from "./deployment.ts";

const NAME = "orders";
const KEYS = 2_000;
const TOKEN = "a-token-that-is-long-enough";

// Mutations:
// - services/coordinator/src/api/event-streams.ts, `#tell`: the state of a pipeline is told once: whoever follows hears of nothing behind it.
// - services/coordinator/src/api/pipeline-status.ts: `drained` as text: what is not as the document says is not answered.
test("with nothing but curl: a pipeline is created, checked, started, followed, stopped and deleted; every answer is as the document says", async () => {
  await using nats = await NatsServer.start();
  await using source = await RedisServer.start({ config: { "repl-backlog-size": "64mb" } });
  await using destination = await RedisServer.start();
  const client = source.client();
  await Promise.all(Array.from({ length: KEYS }, async (_, index) => client.set(`key:${index}`, `value ${index}`)));
  await using services = await Services.start(nats.url, { ingests: 1, writers: 1, settings: { SLUICE_API_TOKEN: TOKEN } });
  const curl = await Curl.open(`http://${services.api}`, TOKEN);
  expect(faultsOfOpenApi(curl.document)).toEqual([]);
  const pipeline = { name: NAME, source: { url: source.url }, destinations: [{ url: destination.url }] };
  const at = `/api/v1/pipelines/${NAME}`;

  await curl.askAsAnybody(401, "GET", "/api/v1/pipelines");
  await curl.ask(404, "GET", at);
  await curl.askAsAnybody(200, "GET", "/livez");
  await curl.askAsAnybody(200, "GET", "/readyz");
  await curl.ask(200, "GET", "/api/v1/schema");
  await curl.ask(200, "GET", "/api/v1/codes/SRC-001");
  const refused = { ...pipeline, destinations: [{ url: "ftp://nowhere" }] };
  const { error } = await curl.ask<{ error: Record<string, string> }>(422, "POST", "/api/v1/pipelines", { pipeline: refused });
  expect(error).toMatchObject({ code: "PIP-001", message: expect.stringContaining("destinations[0].url") as string });

  const filtered = { ...pipeline, destinations: [{ url: destination.url, keys: { include: ["key:1*"], exclude: [] } }] };
  const preview = await curl.ask<FilterPreview>(200, "POST", "/api/v1/filters/preview", { pipeline: filtered, sample: KEYS });
  // 1, 10 to 19, 100 to 199, 1000 to 1999.
  expect(preview).toMatchObject({ sample: { keys: KEYS, isWhole: true }, groups: [{ estimatedKeys: 1_111 }] });
  await curl.ask(200, "POST", "/api/v1/filters/preview", { pipeline: filtered, keys: ["key:1"] });
  await curl.ask(422, "POST", "/api/v1/filters/preview", { pipeline: refused });

  expect(await curl.ask(201, "POST", "/api/v1/pipelines", { pipeline, start: false })).toEqual({
    name: NAME,
    outcome: "created",
  });
  expect(await curl.ask<PipelineStatus>(200, "GET", at)).toMatchObject({ state: "created", desired: "created" });
  await using follower = await curl.follow(`${at}/events`);
  await follower.untilState("created");

  const report = await curl.ask<PrecheckReport>(200, "POST", `${at}/precheck`);
  expect(report.results.filter(({ level }) => level === "fail")).toEqual([]);
  expect(report.results.length).toBeGreaterThan(30);
  expect(await curl.ask(200, "GET", `${at}/precheck`)).toEqual(report);

  await curl.ask(202, "POST", `${at}/start`);
  await follower.untilState("synchronizing");
  await client.set("after", "the copy");
  const reader = destination.client();
  await waitUntil("what is written now is applied", async () => (await reader.get("after")) === "the copy");
  expect(await reader.get("key:7")).toBe("value 7");
  const running = await curl.ask<PipelineStatus>(200, "GET", at);
  expect(running).toMatchObject({ state: "synchronizing", groups: [{ group: "main", isCopied: true, keys: KEYS }] });
  const list = await curl.ask<{ pipelines: object[] }>(200, "GET", "/api/v1/pipelines");
  expect(list.pipelines).toHaveLength(1);
  expect(await curl.ask<string>(200, "GET", "/metrics")).toContain(
    `sluice_pipeline_state{pipeline="${NAME}",state="synchronizing"} 1\n`,
  );

  await curl.ask(409, "DELETE", at);
  await curl.ask(202, "POST", `${at}/pause`);
  await follower.untilState("paused");
  await curl.ask(202, "POST", `${at}/resume`);
  await curl.ask(202, "POST", `${at}/stop`);
  await follower.untilState("stopped");
  expect(await curl.ask(200, "DELETE", at)).toMatchObject({ outcome: "deleted" });
  expect(await follower.ended(), "the stream ends with the pipeline").toBe(0);
  expect(follower.all("event").map(({ text }) => text)).toEqual(
    expect.arrayContaining(["created", "start asked for", "pause asked for", "stop asked for"]),
  );
  expect(await curl.ask(200, "GET", "/api/v1/pipelines")).toEqual({ pipelines: [] });
  await curl.ask(404, "GET", at);
});
