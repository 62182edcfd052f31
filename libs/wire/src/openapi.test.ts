import { expect, test } from "vitest";
import { apiRoutes, type ApiRoute } from "./api-routes.ts";
import { openApiDocument } from "./openapi.ts";
import { faultsOfOpenApi } from "./openapi-check.sample.ts";

type Json = Record<string, unknown>;
interface Document {
  openapi: string;
  paths: Record<string, Record<string, Json>>;
  components: { schemas: Record<string, Json> };
}

const documentNow = () => openApiDocument("1.0.0") as unknown as Document & Json;

test("the document is a valid one", () => {
  expect(faultsOfOpenApi(documentNow())).toEqual([]);
});

test.each<[string, (document: Document) => void]>([
  ["openapi 2.0", (document) => (document.openapi = "2.0")],
  ["leads nowhere", ({ components }) => delete components.schemas["ApiError"]],
  ["lacks operationId", ({ paths }) => delete paths["/livez"]!["get"]!["operationId"]],
  ["operationId isAlive twice", ({ paths }) => (paths["/readyz"]!["get"]!["operationId"] = "isAlive")],
  ["parameters of the path", ({ paths }) => (paths["/api/v1/codes/{other}"] = paths["/api/v1/codes/{code}"]!)],
  ["no answer of success", ({ paths }) => (paths["/livez"]!["get"]!["responses"] = {})],
  ["unknown field responce", ({ paths }) => (paths["/livez"]!["get"]!["responce"] = {})],
  ['type is "text"', ({ components }) => (components.schemas["Code"]!["type"] = "text")],
  ["requires left, which it lacks", ({ components }) => (components.schemas["Code"]!["required"] = ["left"])],
  ["nullable is true", ({ components }) => (components.schemas["Code"]!["nullable"] = true)],
  ["no security scheme other", ({ paths }) => (paths["/livez"]!["get"]!["security"] = [{ other: [] }])],
])("the check finds: %s", (expected, damage) => {
  const document = structuredClone(documentNow());
  damage(document);
  expect(faultsOfOpenApi(document).join("\n")).toContain(expected);
});

test("every route is in it, with its parameters, and nothing else is", () => {
  const { paths } = documentNow();
  const declared = Object.values<ApiRoute>(apiRoutes).map(({ method, path }) => `${method.toLowerCase()} ${path}`);
  const written = Object.entries(paths).flatMap(([path, item]) => Object.keys(item).map((method) => `${method} ${path}`));
  expect(written.toSorted()).toEqual(declared.toSorted());
  expect(paths["/api/v1/pipelines/{name}"]!["delete"]).toMatchObject({
    parameters: [
      { name: "name", in: "path", required: true, schema: { type: "string" } },
      { name: "force", in: "query", required: false, schema: { type: "string" } },
    ],
  });
});

test("a pipeline is described as it is written, an answer as it is sent", () => {
  const { schemas } = documentNow().components;
  expect(schemas["Pipeline"]).toMatchObject({ required: ["name", "source", "destinations"] });
  expect(schemas["PipelineStatus"]).toMatchObject({
    properties: { lanes: { items: { $ref: "#/components/schemas/LaneStatus" } } },
  });
  // A later release may answer more; who sends more than is known has made a mistake.
  expect(schemas["PipelineStatus"]).not.toHaveProperty("additionalProperties");
  expect(schemas["CutoverRequest"]).toMatchObject({ additionalProperties: false });
});
