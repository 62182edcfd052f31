import { expect, test } from "vitest";
import { NOT_YET, refuseUnbuilt } from "./not-yet.ts";
import { fieldsAt } from "./pipeline-json-schema.ts";

const unbuilt = [
  { field: "limits.speed", isUnbuilt: (speed: unknown) => speed !== 1 },
  { field: "destinations[].keys", isUnbuilt: () => true },
];

function refused(pipeline: unknown): unknown[] {
  const paths: unknown[] = [];
  refuseUnbuilt(pipeline, { addIssue: (issue) => paths.push(typeof issue === "string" ? issue : issue.path) }, unbuilt);
  return paths;
}

test("what is not built is refused at its place, in every destination", () => {
  expect(refused({ limits: { speed: 2 }, destinations: [{}, { keys: 1 }, { keys: 2 }] })).toEqual([
    ["limits", "speed"],
    ["destinations", 1, "keys"],
    ["destinations", 2, "keys"],
  ]);
});

test("what is built, absent or can't be read at all is let through", () => {
  expect(refused({ limits: { speed: 1 }, destinations: [{}] })).toEqual([]);
  expect(refused({ limits: 5, destinations: "x" })).toEqual([]);
  expect(refused(null)).toEqual([]);
});

test("the list names fields of the schema", () => {
  for (const { field } of NOT_YET) {
    const path = field.split(".").flatMap((step) => (step.endsWith("[]") ? [step.slice(0, -2), 0] : [step]));
    expect(fieldsAt(path), field).not.toEqual([]);
  }
});
