import { Authority } from "@sluice/testkit";
import { expect, test } from "vitest";
import { samplePipeline } from "../view/pipeline-status.sample.ts";
import { ApiClient, ApiRefusal, ApiUnreachable } from "./api-client.ts";
import { apiAccess } from "./api-access.ts";
import { apiToken } from "./api-token.ts";
import { startSampleApi, type SampleRequest } from "./api-server.sample.ts";

test("asks what the API offers and reads its answers", async () => {
  const requests: SampleRequest[] = [];
  const list = { pipelines: [{ name: "orders", state: "copying", desired: "running", since: 1, reason: "" }] };
  await using server = await startSampleApi((request) => {
    requests.push(request);
    if (request.method === "POST") return [200, {}];
    return [200, request.path.endsWith("/orders") ? samplePipeline() : list];
  });
  const api = new ApiClient(server.address);
  await api.start({ name: "orders" });
  expect(await api.list()).toEqual(list);
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

test("names the token that the API asks for, and none where there is none", async () => {
  const seen: (string | undefined)[] = [];
  await using server = await startSampleApi(({ authorization }) => {
    seen.push(authorization);
    return [200, { pipelines: [] }];
  });
  await new ApiClient(server.address, { token: () => "a-token", ca: () => null }).list();
  await new ApiClient(server.address, { token: () => null, ca: () => null }).list();
  expect(seen).toEqual(["Bearer a-token", undefined]);
});

test("the token of the environment stands there, or in a file", () => {
  expect(apiToken({})).toBeNull();
  expect(apiToken({ SLUICE_API_TOKEN: "" })).toBeNull();
  expect(apiToken({ SLUICE_API_TOKEN: "a-token" })).toBe("a-token");
  expect(() => apiToken({ SLUICE_API_TOKEN_FILE: "/no/such/file" })).toThrow('"/no/such/file", which can\'t be read');
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

test("an API with a certificate is asked when its authority is known, and only then", async () => {
  const authority = new Authority();
  await using server = await startSampleApi(() => [200, { pipelines: [] }], authority.issue());
  const ask = async (scheme: string, ca: string | null) =>
    new ApiClient(`${scheme}${server.address}`, { token: () => null, ca: () => ca }).list();
  expect(await ask("https://", authority.cert)).toEqual({ pipelines: [] });
  for (const ca of [null, new Authority("another").cert]) {
    await expect(ask("https://", ca)).rejects.toMatchObject({ remedy: expect.stringContaining("--api-ca FILE") as string });
  }
  await expect(ask("", null)).rejects.toMatchObject({ remedy: expect.stringContaining("begins with https://") as string });
});

test("files of token and authority that can't be read are named", () => {
  const access = apiAccess({ tokenFile: "/no/such/token", apiCa: "/no/such/ca" }, {});
  expect(() => access.token()).toThrow('--token-file names "/no/such/token", which can\'t be read: ENOENT');
  expect(() => access.ca()).toThrow('--api-ca names "/no/such/ca", which can\'t be read: ENOENT');
  expect(() => apiAccess({}, { SLUICE_API_CA: "/no/ca" }).ca()).toThrow('SLUICE_API_CA names "/no/ca"');
});

test("what is no address is refused before it is asked", async () => {
  for (const address of ["ftp://a:1", "a b:1", "host:port:1"]) {
    await expect(new ApiClient(address).list()).rejects.toMatchObject({ exitCode: 2 });
  }
});
