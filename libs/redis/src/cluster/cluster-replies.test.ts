import { describe, expect, test } from "vitest";
import { parseClusterNodes } from "./cluster-nodes.ts";
import { parseClusterSlots } from "./cluster-slots.ts";
import { ownersOf, primariesOf, slotsWithoutOwner } from "./deployment.ts";

const [a, b, c, d] = ["a", "b", "c", "d"].map((letter) => letter.repeat(40)) as [string, string, string, string];
const NODES = [
  `${a} :7000@17000 myself,master - 0 0 1 connected 0-5460 5500 [5501->-${b}] [93-<-${b}]`,
  `${b} 10.0.0.2:7001@17001,host-b,shard-id=xyz master - 0 1700 2 connected 5461-5499 5501-16383`,
  `${c} ::1:7002 slave ${b} 0 1700 2 connected`,
  `${d} 10.0.0.4:7003@17003 slave,fail ${a} 1 1 1 disconnected`,
  "",
].join("\n");

describe("parseClusterNodes", () => {
  test("reads every field that a line of any version may have", () => {
    const [first, second, third, fourth] = parseClusterNodes(NODES);
    expect(first).toMatchObject({
      id: a,
      host: "",
      port: 7000,
      primaryId: null,
      slots: "0-5460,5500",
      movingSlots: [5501, 93],
    });
    expect([...(first?.leaving ?? [])]).toEqual([[5501, b]]);
    expect([...(first?.arriving ?? [])]).toEqual([[93, b]]);
    expect(first?.flags).toEqual(new Set(["myself", "master"]));
    expect(second).toMatchObject({ host: "10.0.0.2", port: 7001, slots: "5461-5499,5501-16383", isLinked: true });
    expect(third).toMatchObject({ host: "::1", port: 7002, primaryId: b, slots: "" });
    expect(fourth).toMatchObject({ isLinked: false, primaryId: a });
  });

  test("quotes what is no line of it", () => {
    expect(() => parseClusterNodes("ERR no\n")).toThrow('"ERR no"');
    expect(() => parseClusterNodes(`${a} :1@2 master - 0 0 1 connected 5-3`)).toThrow('found "5-3"');
    expect(() => parseClusterNodes(`${a} :1@2 master - 0 0 1 connected 16384`)).toThrow('found "16384"');
    expect(() => parseClusterNodes(`${a} :1@2 master - 0 0 1 connected ${"9".repeat(500)}`)).toThrow(/…"$/);
  });
});

describe("parseClusterSlots", () => {
  test("reads hosts as text, as nothing and as unknown, with and without ids", () => {
    const reply = [
      [0, 5, ["10.0.0.1", 7000, Buffer.from(a), ["hostname", "x"]], [null, 7001, Buffer.from(b)]],
      [6, 9, [Buffer.from("?"), 7002]],
    ];
    expect(parseClusterSlots(reply)).toEqual([
      { from: 0, to: 5, primary: { host: "10.0.0.1", port: 7000, id: a }, replicas: [{ host: "", port: 7001, id: b }] },
      { from: 6, to: 9, primary: { host: "", port: 7002, id: "" }, replicas: [] },
    ]);
  });

  test("says which entry is none", () => {
    expect(() => parseClusterSlots("OK")).toThrow("expected an array");
    expect(() => parseClusterSlots([[0, 16_384, ["h", 1]]])).toThrow("entry 0 of CLUSTER SLOTS: expected a range");
    expect(() =>
      parseClusterSlots([
        [0, 1, ["h", 1]],
        [2, 3],
      ]),
    ).toThrow("entry 1 of CLUSTER SLOTS: expected [host, port, id]");
  });
});

describe("primariesOf", () => {
  const view = parseClusterNodes(NODES);
  const asked = { host: "asked", port: 1 };

  test("names those that own slots, with live replicas; the address asked stands where none is told", () => {
    expect(primariesOf(view, [], asked)).toEqual([
      { id: a, host: "asked", port: 7000, slots: "0-5460,5500", replicas: [] },
      { id: b, host: "10.0.0.2", port: 7001, slots: "5461-5499,5501-16383", replicas: [{ id: c, host: "::1", port: 7002 }] },
    ]);
  });

  test("prefers what CLUSTER SLOTS announces to clients", () => {
    const announced = [
      { from: 5461, to: 5499, primary: { id: b, host: "host-b", port: 6379 }, replicas: [{ id: c, host: "", port: 9 }] },
    ];
    const [, second] = primariesOf(view, announced, asked);
    expect(second).toMatchObject({ host: "host-b", port: 6379, replicas: [{ host: "asked", port: 9 }] });
  });

  test("two views agree when they see the same owners, whatever else differs", () => {
    const other = parseClusterNodes(NODES.replace(" [93-<-", " [94-<-").replace("slave,fail", "slave"));
    expect(ownersOf(other.toReversed())).toBe(ownersOf(view));
    expect(ownersOf(parseClusterNodes(NODES.replace("0-5460", "0-5459")))).not.toBe(ownersOf(view));
  });

  test("slots without an owner are told as ranges", () => {
    expect(slotsWithoutOwner(primariesOf(view, [], asked))).toBe("");
    expect(slotsWithoutOwner([{ slots: "1-99,101-16382" }])).toBe("0,100,16383");
    expect(slotsWithoutOwner([])).toBe("0-16383");
  });
});
