import { describe, expect, test } from "vitest";
import { judge } from "./checks.ts";
import type { ClusterFacts, DestinationFacts, EndpointFacts, PrecheckFacts, ServerFacts } from "./facts.ts";

const server = (runId: string, change: Partial<ServerFacts> = {}): ServerFacts => ({
  runId,
  role: "master",
  isCluster: false,
  isLoading: false,
  databases: [0],
  ...change,
});
const source: EndpointFacts = {
  endpoint: "source",
  address: "a:1",
  failure: null,
  server: server("aa"),
  cluster: null,
  identities: ["aa"],
};
const destination: DestinationFacts = {
  endpoint: "destination main",
  address: "b:1",
  failure: null,
  server: server("bb"),
  cluster: null,
  identities: ["bb"],
  existing: "refuse",
  foreign: [],
  mark: null,
};
const whole: ClusterFacts = { state: "ok", unservedSlots: "", trouble: null, primaries: [{ address: "c:1", fault: null }] };
const inCluster = (runId: string, change: Partial<ServerFacts> = {}) => ({
  server: server(runId, { isCluster: true, ...change }),
  cluster: whole,
});
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

  test("replicas and servers that load are refused on both sides; a node of a cluster may be a replica", () => {
    expect(found({ source: inCluster("aa", { role: "slave" }), destination: inCluster("bb", { role: "slave" }) })).toEqual([]);
    expect(found({ source: { server: server("aa", { role: "slave" }) } })).toEqual(["PIP-006 source"]);
    expect(found({ destination: { server: server("bb", { role: "slave" }) } })).toEqual(["PIP-006 destination main"]);
    expect(found({ source: { server: server("aa", { isLoading: true }) } })).toEqual(["SRC-003 source"]);
    expect(found({ destination: { server: server("bb", { isLoading: true }) } })).toEqual(["DST-003 destination main"]);
  });

  test("the source is no destination, by whatever name it is reached", () => {
    expect(found({ destination: { identities: ["aa"] } })).toEqual(["PIP-007 destination main"]);
  });

  test("two nodes of one cluster are the same server, whichever are named", () => {
    const nodes = { identities: ["n1", "n2"] };
    expect(found({ source: { ...inCluster("aa"), ...nodes }, destination: { ...inCluster("bb"), ...nodes } })).toEqual([
      "PIP-007 destination main",
    ]);
    expect(found({ source: { ...inCluster("aa"), ...nodes } })).toEqual([]);
  });

  test("a cluster must be whole and each primary usable, on both sides", () => {
    const faults: Partial<ClusterFacts>[] = [
      { state: "fail" },
      { unservedSlots: "17-20" },
      { trouble: "n1 sees other owners of slots than n0" },
      {
        primaries: [
          { address: "c:1", fault: null },
          { address: "c:2", fault: "NOPERM" },
        ],
      },
    ];
    for (const fault of faults) {
      const cluster = { ...whole, ...fault };
      expect(found({ source: { ...inCluster("aa"), cluster } })).toEqual(["SRC-008 source"]);
      expect(found({ destination: { ...inCluster("bb"), cluster } })).toEqual(["DST-011 destination main"]);
    }
    const broken = { ...whole, state: "fail", unservedSlots: "17", primaries: [{ address: "c:2", fault: "NOPERM" }] };
    expect(judge({ source: { ...source, ...inCluster("aa"), cluster: broken }, destinations: [] })[0]?.found).toBe(
      "the cluster of a:1: cluster_state:fail; nobody serves the slots 17; c:2: NOPERM",
    );
  });

  test("keys in other databases of the source go into no cluster", () => {
    const many = { server: server("aa", { databases: [0, 3, 9] }) };
    expect(found({ source: many, destination: inCluster("bb") })).toEqual(["PIP-005 destination main"]);
    expect(found({ source: many })).toEqual([]);
    expect(found({ destination: inCluster("bb") })).toEqual([]);
  });

  test("keys in the destination are refused, unless the pipeline says otherwise or has been here before", () => {
    const foreign = [{ where: "in database 3", keys: 12 }];
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
