import { expect, test } from "vitest";
import { readPipeline } from "./pipeline-issues.ts";

function read(...exclude: unknown[]): readonly string[] {
  const found = readPipeline({
    name: "p",
    source: { url: "redis://a:1" },
    destinations: [{ url: "redis://b:1", commands: { exclude } }],
  });
  if ("pipeline" in found) return found.pipeline.destinations[0]?.commands.exclude ?? [];
  return found.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

test("names are taken in any letter case, containers with or without a subcommand, and modules that nobody knows", () => {
  expect(read("flushall", "FLUSHDB", " Xgroup  create", "script", "json.set", "mymodule.set", "my.x sub")).toEqual([
    "FLUSHALL",
    "FLUSHDB",
    "XGROUP CREATE",
    "SCRIPT",
    "JSON.SET",
    "MYMODULE.SET",
    "MY.X SUB",
  ]);
  expect(read()).toEqual([]);
});

// Mutations seen to fail it: command-filter.ts, each return of `faultOf` as null.
test.each([
  ["FLSHALL", 'there is no command "FLSHALL" that changes anything; did you mean FLUSHALL?'],
  ["JSON.STE", 'there is no command "JSON.STE" that changes anything; did you mean JSON.SET?'],
  ["FROBNICATE-ALL", 'there is no command "FROBNICATE-ALL" that changes anything'],
  ["get", "GET is never replicated: there is nothing to leave out"],
  ["MULTI", "MULTI is never replicated"],
  ["XGROUP CREAT", 'XGROUP has no subcommand "CREAT"; did you mean XGROUP CREATE?'],
  ["DEL k", "DEL has no subcommands: expected DEL alone"],
  ["", "expected at least 1 character"],
  ["A B C", "expected the name of a command"],
  ["DEL\u0007", "expected the name of a command"],
  [3, "expected text"],
])("%j is refused where it stands", (said, why) => {
  const [issue] = read("DEL", said);
  expect(issue).toContain("destinations.0.commands.exclude.1: ");
  expect(issue).toContain(why);
});
