import { describe, expect, test } from "vitest";
import { judge } from "./checks.ts";
import type { DestinationFacts, EndpointFacts, PrecheckFacts, ServerFacts } from "./facts.ts";

const server = (runId: string, change: Partial<ServerFacts> = {}): ServerFacts => ({
  runId,
  role: "master",
  isCluster: false,
  isLoading: false,
  ...change,
});
const source: EndpointFacts = { endpoint: "source", address: "a:1", failure: null, server: server("aa") };
const destination: DestinationFacts = {
  endpoint: "destination main",
  address: "b:1",
  failure: null,
  server: server("bb"),
  existing: "refuse",
  foreign: [],
  mark: null,
};
const position = { epoch: 3, copy: 1, phase: "live", shard: "s0", offset: 1, sequence: 1 } as const;
const found = (change: { source?: Partial<EndpointFacts>; destination?: Partial<DestinationFacts> }): string[] => {
  const facts: PrecheckFacts = {
    source: { ...source, ...change.source },
    destinations: [{ ...destination, ...change.destination }],
  };
  return judge(facts).map(({ code, endpoint }) => `${code} ${endpoint}`);
};

describe("judge", () => {
  test("two empty-enough standalone primaries are fine", () => {
    expect(found({})).toEqual([]);
  });

  test("a server that can't be asked is found once, for what it is", () => {
    const unreachable = { failure: { kind: "unreachable", reason: "connect ECONNREFUSED" }, server: null } as const;
    const refused = { failure: { kind: "credentials", reason: "WRONGPASS" }, server: null } as const;
    expect(found({ source: unreachable, destination: refused })).toEqual(["SRC-001 source", "DST-002 destination main"]);
    expect(found({ source: refused, destination: unreachable })).toEqual(["DST-001 destination main", "SRC-002 source"]);
  });

  test("clusters, replicas and servers that load are refused on both sides", () => {
    expect(found({ source: { server: server("aa", { isCluster: true }) } })).toEqual(["PIP-005 source"]);
    expect(found({ destination: { server: server("bb", { isCluster: true }) } })).toEqual(["PIP-005 destination main"]);
    expect(found({ source: { server: server("aa", { role: "slave" }) } })).toEqual(["PIP-006 source"]);
    expect(found({ destination: { server: server("bb", { role: "slave" }) } })).toEqual(["PIP-006 destination main"]);
    expect(found({ source: { server: server("aa", { isLoading: true }) } })).toEqual(["SRC-003 source"]);
    expect(found({ destination: { server: server("bb", { isLoading: true }) } })).toEqual(["DST-003 destination main"]);
  });

  test("the source is no destination, by whatever name it is reached", () => {
    expect(found({ destination: { server: server("aa") } })).toEqual(["PIP-007 destination main"]);
  });

  test("keys in the destination are refused, unless the pipeline says otherwise or has been here before", () => {
    const foreign = [{ db: 3, keys: 12 }];
    expect(judge({ source, destinations: [{ ...destination, foreign }] })).toEqual([
      { code: "DST-009", endpoint: "destination main", found: "b:1 holds 12 keys in database 3", expected: "no keys" },
    ]);
    expect(found({ destination: { foreign, existing: "overwrite" } })).toEqual([]);
    expect(found({ destination: { foreign, existing: "replace" } })).toEqual([]);
    expect(found({ destination: { foreign, mark: position } })).toEqual([]);
  });

  test("what stands at the mark and is none is refused", () => {
    expect(found({ destination: { mark: "not a mark" } })).toEqual(["DST-005 destination main"]);
  });
});
