import { codes } from "@sluice/runtime";
import { apiError, apiRoutes, openApiDocument, type ApiRoute } from "@sluice/wire";
import { describe, expect, test } from "vitest";
import { ApiDesk, FILE } from "./api-desk.sample.ts";

const TOKEN = "a-token-of-our-own";
const answerOf = (response: { statusCode: number; json(): unknown }) => {
  const { code, message } = apiError.parse(response.json()).error;
  return { status: response.statusCode, code, message };
};

function example(path: string): string {
  return path.replace("{name}", "p").replace("{code}", "SRC-001");
}

describe("routes", () => {
  test("every one that is served stands in the OpenAPI document, and nothing else does", async () => {
    const served: string[] = [];
    const api = new ApiDesk().api();
    // Routes are registered before anybody could listen for that: the router itself is asked.
    await api.ready();
    for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const) {
      const known = new Set(Object.values(apiRoutes).map(({ path }) => path));
      for (const path of known) {
        const url = path.replaceAll(/\{(\w+)\}/g, ":$1");
        if (api.hasRoute({ method, url })) served.push(`${method} ${path}`);
      }
    }
    const { paths } = openApiDocument("1") as { paths: Record<string, Record<string, unknown>> };
    const declared = Object.entries(paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(served.toSorted()).toEqual(declared.toSorted());
    // As fastify prints them: one line for each route that there is, whoever made it.
    const printed = [...api.printRoutes({ commonPrefix: false }).matchAll(/\(([A-Z, ]+)\)/g)].flatMap(([, methods]) =>
      (methods as string).split(", "),
    );
    expect(printed).toHaveLength(declared.length);
    await api.close();
  });

  test("each answers with JSON or with an `apiError`, and knows no other path or method", async () => {
    const api = new ApiDesk().api();
    for (const route of Object.values<ApiRoute>(apiRoutes)) {
      const response = await api.inject({ method: route.method, url: example(route.path) });
      expect(response.statusCode, `${route.method} ${route.path}`).toBeLessThan(500);
      if (response.statusCode >= 400) expect(apiError.safeParse(response.json()).success).toBe(true);
    }
    for (const request of [
      { method: "GET", url: "/api/v1/nothing" },
      { method: "POST", url: "/metrics" },
      { method: "DELETE", url: "/api/v1/pipelines" },
    ] as const) {
      expect(answerOf(await api.inject(request))).toMatchObject({ status: 404, code: "API-001" });
    }
    await api.close();
  });

  test("a coordinator that stands by refuses what only the active one knows", async () => {
    const desk = new ApiDesk();
    desk.isActive = false;
    const api = desk.api();
    for (const { method, path, isAnyones = false } of Object.values<ApiRoute>(apiRoutes)) {
      const response = await api.inject({ method, url: example(path) });
      expect(response.statusCode === 503, `${method} ${path}`).toBe(!isAnyones);
    }
    expect((await api.inject("/metrics")).body).toContain("sluice_coordinator_active 0\n");
    await api.close();
  });

  test("a query or a body that is not as declared is refused with what was expected", async () => {
    const desk = new ApiDesk();
    desk.put("pipeline.p.spec", { pipeline: FILE, desired: "running", createdAt: 1 });
    const api = desk.api();
    const refused = async (method: "GET" | "PUT" | "POST", url: string, payload?: object) =>
      answerOf(await api.inject({ method, url, ...(payload === undefined ? {} : { payload }) }));
    expect(await refused("GET", "/api/v1/events?limit=0")).toMatchObject({ status: 400, code: "API-001" });
    expect((await refused("GET", "/api/v1/events?last=3")).message).toContain("last");
    expect((await refused("PUT", "/api/v1/pipelines/p?dryRun=perhaps", FILE)).message).toContain("dryRun");
    expect((await refused("POST", "/api/v1/pipelines/p/cutover", { forced: true })).message).toContain("forced");
    expect((await refused("POST", "/api/v1/pipelines", { pipeline: FILE, start: "yes" })).message).toContain("start");
    expect((await refused("POST", "/api/v1/pipelines/p/precheck", { only: ["NOT AN ID"] })).message).toContain("only.0");
    expect(await refused("GET", "/api/v1/pipelines/NOT%20A%20NAME")).toMatchObject({ status: 404, code: "PIP-002" });
    await api.close();
  });

  test("what the reader of a pipeline finds is told, the password is not", async () => {
    const api = new ApiDesk().api();
    const source = { url: "redis://a:1", password: "hush" };
    const payload = { pipeline: { ...FILE, source, lanes: 0 } };
    const refused = answerOf(await api.inject({ method: "POST", url: "/api/v1/pipelines", payload }));
    expect(refused).toMatchObject({ status: 422, code: "PIP-001" });
    expect(refused.message).toContain("lanes");
    expect(refused.message).not.toContain("hush");
    await api.close();
  });
});

describe("a pipeline", () => {
  test("is created without being started, listed, shown and explained", async () => {
    const desk = new ApiDesk();
    const api = desk.api();
    const source = { url: "redis://a:1", password: "hush" };
    const created = await api.inject({
      method: "POST",
      url: "/api/v1/pipelines",
      payload: { pipeline: { ...FILE, source }, start: false },
    });
    expect([created.statusCode, created.json()]).toEqual([201, { name: "p", outcome: "created" }]);
    expect(desk.value("pipeline.p.spec")).toMatchObject({ desired: "created" });
    const list = (await api.inject("/api/v1/pipelines")).json<{ pipelines: object[] }>();
    expect(list.pipelines).toMatchObject([{ name: "p", state: "created", desired: "created" }]);
    const shown = await api.inject("/api/v1/pipelines/p");
    expect(shown.json()).toMatchObject({ name: "p", groups: [{ group: "main" }], waits: [], alarms: [], precheck: null });
    expect(shown.body).not.toContain("hush");
    expect(answerOf(await api.inject("/api/v1/pipelines/p/precheck"))).toMatchObject({ status: 404, code: "API-001" });
    await api.close();
  });

  test("shows the report of its prechecks", async () => {
    const desk = new ApiDesk();
    desk.put("pipeline.p.spec", { pipeline: FILE, desired: "checking", createdAt: 1 });
    const result = {
      id: "source-reachable",
      title: "t",
      endpoint: "source",
      level: "fail",
      code: "SRC-001",
      found: "f",
      expected: "e",
      why: "w",
      fix: "x",
      tookMs: 1,
      waived: null,
    };
    const report = { at: 5, results: [result], verdict: "fail" };
    desk.put("pipeline.p.precheck", { spec: 1, report, ignore: [], highestEpoch: 0 });
    const api = desk.api();
    expect((await api.inject("/api/v1/pipelines/p/precheck")).json()).toEqual(report);
    expect((await api.inject("/api/v1/pipelines/p")).json()).toMatchObject({ precheck: { at: 5, verdict: "fail" } });
    await api.close();
  });

  test("tells its events as a page, behind the one that is named", async () => {
    const desk = new ApiDesk();
    desk.put("pipeline.p.spec", { pipeline: FILE, desired: "running", createdAt: 1 });
    const events = [1, 2, 3].map((id) => ({ id, at: id, kind: "state", text: `event ${id}` }));
    desk.put("pipeline.p.events", { events, topology: null });
    const api = desk.api();
    const page = async (query: string) =>
      (await api.inject(query)).json<{ events: { id: number }[] }>().events.map(({ id }) => id);
    expect(await page("/api/v1/pipelines/p/events")).toEqual([1, 2, 3]);
    expect(await page("/api/v1/pipelines/p/events?after=2")).toEqual([3]);
    expect(await page("/api/v1/pipelines/p/events?limit=2")).toEqual([2, 3]);
    expect(await page("/api/v1/events")).toEqual([1, 2, 3]);
    await api.close();
  });
});

describe("what describes Sluice", () => {
  test("codes, the schema of a pipeline file, the metrics", async () => {
    const desk = new ApiDesk();
    desk.put("pipeline.p.spec", { pipeline: FILE, desired: "running", createdAt: 1 });
    const api = desk.api();
    expect((await api.inject("/api/v1/codes/src-001")).json()).toEqual({ code: "SRC-001", ...codes["SRC-001"] });
    expect(answerOf(await api.inject("/api/v1/codes/SRC-999"))).toMatchObject({ status: 404 });
    expect((await api.inject("/api/v1/codes")).json<{ codes: object[] }>().codes).toHaveLength(Object.keys(codes).length);
    expect((await api.inject("/api/v1/schema")).json()).toMatchObject({ properties: { source: {} } });
    const metrics = await api.inject("/metrics");
    expect(metrics.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
    const lines = metrics.body.split("\n");
    expect(lines).toContain("sluice_coordinator_active 1");
    expect(lines).toContain('sluice_stream_bytes{pipeline="p"} 400');
    expect(lines).toContain('sluice_bus_up{service="coordinator"} 1');
    expect(lines).toContain('sluice_api_requests_total{operation="getCode",status="404"} 1');
    await api.close();
  });
});

describe("with a token", () => {
  test("everything but health asks for it, and says how to send it", async () => {
    const api = new ApiDesk().api({ token: TOKEN, tls: null });
    for (const { method, path, isOpen = false } of Object.values<ApiRoute>(apiRoutes)) {
      const response = await api.inject({ method, url: example(path) });
      expect(response.statusCode === 401, `${method} ${path}`).toBe(!isOpen);
      if (isOpen) continue;
      expect(response.headers["www-authenticate"]).toBe('Bearer realm="sluice"');
      expect(answerOf(response).code).toBe("API-002");
    }
    const authorization = `Bearer ${TOKEN}`;
    expect((await api.inject({ url: "/api/v1/pipelines", headers: { authorization } })).statusCode).toBe(200);
    expect((await api.inject({ url: "/api/v1/pipelines", headers: { authorization: "Bearer another" } })).statusCode).toBe(401);
    await api.close();
  });

  test("a request without it is refused before its body is read", async () => {
    const api = new ApiDesk().api({ token: TOKEN, tls: null });
    const response = await api.inject({
      method: "POST",
      url: "/api/v1/pipelines",
      payload: "{",
      headers: { "content-type": "application/json" },
    });
    expect(response.statusCode).toBe(401);
    await api.close();
  });
});

test("a page of another site is refused, and gets no permission to read", async () => {
  const api = new ApiDesk().api();
  const headers = { origin: "https://example.com" };
  const response = await api.inject({ method: "POST", url: "/api/v1/pipelines/p/stop", headers });
  expect(answerOf(response)).toMatchObject({ status: 403, code: "API-003" });
  expect(Object.keys(response.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
  expect((await api.inject({ url: "/livez", headers })).statusCode).toBe(200);
  await api.close();
});

test("a body that is too large is refused", async () => {
  const api = new ApiDesk().api();
  const payload = { pipeline: "x".repeat(1024 * 1024) };
  expect(answerOf(await api.inject({ method: "POST", url: "/api/v1/pipelines", payload }))).toMatchObject({ status: 413 });
  await api.close();
});
