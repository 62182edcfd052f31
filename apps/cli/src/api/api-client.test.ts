import { expect, test } from "vitest";
import { samplePipeline } from "../view/pipeline-status.sample.ts";
import { ApiClient, ApiRefusal, ApiUnreachable } from "./api-client.ts";
import { startSampleApi, type SampleRequest } from "./api-server.sample.ts";

test("asks what the API offers and reads its answers", async () => {
  const requests: SampleRequest[] = [];
  await using server = await startSampleApi((request) => {
    requests.push(request);
    if (request.method === "POST") return [200, {}];
    return [200, request.path.endsWith("/orders") ? samplePipeline() : { pipelines: [{ name: "orders", state: "copying" }] }];
  });
  const api = new ApiClient(server.address);
  await api.start({ name: "orders" });
  expect(await api.list()).toEqual({ pipelines: [{ name: "orders", state: "copying" }] });
  expect((await api.status("orders")).state).toBe("synchronizing");
  await api.stop("orders");
  expect(requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "POST /api/v1/pipelines",
    "GET /api/v1/pipelines",
    "GET /api/v1/pipelines/orders",
    "POST /api/v1/pipelines/orders/stop",
  ]);
  expect(requests[0]?.body).toEqual({ name: "orders" });
});

test("a refusal carries code, message and remedy", async () => {
  await using server = await startSampleApi(() => [
    404,
    { error: { code: "PIP-002", message: "no pipeline x\u0007", remedy: "List them." } },
  ]);
  const refusal = await new ApiClient(server.address).status("x").catch((cause: unknown) => cause);
  expect(refusal).toBeInstanceOf(ApiRefusal);
  expect(refusal).toMatchObject({ code: "PIP-002", message: "PIP-002: no pipeline x\\x07", remedy: "List them.", exitCode: 1 });
});

test("an answer of something else is refused, not half read", async () => {
  await using server = await startSampleApi(() => [200, { pipelines: 7 }]);
  await expect(new ApiClient(server.address).list()).rejects.toBeInstanceOf(ApiRefusal);
});

test("nobody there: says where it looked", async () => {
  const server = await startSampleApi(() => [200, {}]);
  await server[Symbol.asyncDispose]();
  const failure = await new ApiClient(server.address).list().catch((cause: unknown) => cause);
  expect(failure).toBeInstanceOf(ApiUnreachable);
  expect((failure as Error).message).toContain(`http://${server.address} does not answer: connect ECONNREFUSED`);
});

test("what stands by is not there, for now", async () => {
  const body = { error: { code: "SLU-003", message: "this coordinator stands by", remedy: "Wait." } };
  await using server = await startSampleApi(() => [503, body]);
  const failure = await new ApiClient(server.address).list().catch((cause: unknown) => cause);
  expect(failure).toBeInstanceOf(ApiUnreachable);
  expect(failure).toMatchObject({ message: "SLU-003: this coordinator stands by", remedy: "Wait." });
});
