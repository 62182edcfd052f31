import { SLOT_COUNT, SlotSet, type TopologyRecord } from "@sluice/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nextTopology, numberOf, raiseFloors, type Observation, type ObservedShard } from "./next-topology.ts";

const shard = (port: number, slots: string, replicas: number[] = []): ObservedShard => ({
  primary: { host: "h", port },
  slots: SlotSet.parse(slots),
  replicas: replicas.map((replica) => ({ host: "h", port: replica })),
});
const seen = (shards: ObservedShard[], change: Partial<Observation> = {}): Observation => ({
  mode: "cluster",
  lanes: 16,
  shards,
  epoch: 7,
  nextShard: 3,
  nowMs: 99,
  ...change,
});
const three = [shard(1, "0-5460"), shard(2, "5461-10922"), shard(3, "10923-16383")];
const current = nextTopology(null, seen(three, { nextShard: 0, epoch: 0 }))!;
const entries = (topology: TopologyRecord | null) =>
  topology?.shards.map(({ id, port, slots, floor }) => `${id} :${port} ${slots} >${floor}`);

describe("nextTopology", () => {
  test("begins with a shard for each primary, nothing forbidden", () => {
    expect(current).toMatchObject({ mode: "cluster", lanes: 16, events: [] });
    expect(entries(current)).toEqual(["s0 :1 0-5460 >0", "s1 :2 5461-10922 >0", "s2 :3 10923-16383 >0"]);
  });

  test("begins anew above all that destinations hold of an earlier life of the pipeline", () => {
    expect(entries(nextTopology(null, seen([shard(1, "0-16383")], { nextShard: 0 })))).toEqual(["s0 :1 0-16383 >7"]);
  });

  test("is null while nothing changes, in whatever order the primaries are seen", () => {
    expect(nextTopology(current, seen(three.toReversed()))).toBeNull();
  });

  test("after a failover another address serves the shard, and it goes on", () => {
    const next = nextTopology(current, seen([three[0]!, shard(9, "5461-10922"), three[2]!]));
    expect(entries(next)).toEqual(["s0 :1 0-5460 >0", "s1 :9 5461-10922 >0", "s2 :3 10923-16383 >0"]);
    expect(next?.events).toEqual([{ at: 99, text: "shard s1 is read from h:9 now, before from h:2" }]);
  });

  test("slots that change hands begin both shards anew, and say so; the third goes on", () => {
    const next = nextTopology(current, seen([shard(1, "100-5460"), shard(2, "0-99,5461-10922"), three[2]!]));
    expect(entries(next)).toEqual(["s0 :1 100-5460 >7", "s1 :2 0-99,5461-10922 >7", "s2 :3 10923-16383 >0"]);
    expect(next?.events.map(({ text }) => text)).toEqual(["slots moved: 0-99 from s0 to s1; copied anew: s0, s1"]);
  });

  test("a shard that lost all slots is gone, and its number is not given again", () => {
    const two = nextTopology(current, seen([three[0]!, shard(2, "5461-16383")]))!;
    expect(entries(two)).toEqual(["s0 :1 0-5460 >0", "s1 :2 5461-16383 >7"]);
    expect(two.events.at(-1)?.text).toBe("slots moved: 10923-16383 from s2 to s1; copied anew: s1; gone: s2");
    const again = nextTopology(two, seen(three, { epoch: 9 }));
    expect(entries(again)).toEqual(["s0 :1 0-5460 >0", "s1 :2 5461-10922 >9", "s3 :3 10923-16383 >9"]);
    expect(again?.events.at(-1)?.text).toBe("slots moved: 10923-16383 from s1 to s3; copied anew: s1, s3");
  });

  test("a replica is kept while it may be; then another one, then the primary", () => {
    const at = (...replicas: number[]) => seen([shard(1, "0-16383", replicas)], { nextShard: 0, epoch: 0 });
    const first = nextTopology(null, at(11, 12))!;
    expect(first.shards[0]?.port).toBe(11);
    expect(nextTopology(first, at(10, 11))).toBeNull();
    const second = nextTopology(first, at(12))!;
    expect(entries(second)).toEqual(["s0 :12 0-16383 >0"]);
    expect(nextTopology(second, at(11, 12))).toBeNull();
    expect(entries(nextTopology(second, at()))).toEqual(["s0 :1 0-16383 >0"]);
  });

  test("events are kept up to a bound, newest last", () => {
    let topology = current;
    for (let port = 100; port < 350; port++)
      topology = nextTopology(topology, seen([shard(port, "0-5460"), ...three.slice(1)]))!;
    expect(topology.events).toHaveLength(100);
    expect(topology.events.at(-1)?.text).toContain("h:349 now");
  });

  test("whatever moves: slots have one owner, ids are never given twice, and floors tell exactly whose slots changed", () => {
    const cut = fc.array(fc.tuple(fc.nat(SLOT_COUNT - 1), fc.nat(4)), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.array(cut, { minLength: 2, maxLength: 4 }), (pictures) => {
        let topology: TopologyRecord | null = null;
        let nextShard = 0;
        for (const [index, picture] of pictures.entries()) {
          const shards = shardsOf(picture);
          const epoch = index * 2;
          const next: TopologyRecord | null = nextTopology(topology, seen(shards, { epoch, nextShard }));
          if (next === null) continue;
          const before = new Map<string, TopologyRecord["shards"][number]>(topology?.shards.map((entry) => [entry.id, entry]));
          expect(next.shards.map(({ slots }) => slots).toSorted()).toEqual(
            shards.map(({ slots }) => slots.toString()).toSorted(),
          );
          for (const { id, slots, floor } of next.shards) {
            const previous = before.get(id);
            if (previous === undefined) expect(numberOf(id)).toBeGreaterThanOrEqual(nextShard);
            const isAnew = topology !== null && previous?.slots !== slots;
            expect(floor).toBe(isAnew ? epoch : (previous?.floor ?? 0));
          }
          expect(new Set(next.shards.map(({ id }) => id)).size).toBe(shards.length);
          expect(nextTopology(next, seen(shards, { epoch: epoch + 1, nextShard: 99 }))).toBeNull();
          nextShard = Math.max(nextShard, ...next.shards.map(({ id }) => numberOf(id) + 1));
          topology = next;
        }
      }),
      { numRuns: 20 },
    );
  });
});

test("floors are raised only for those whose slots changed", () => {
  const next = nextTopology(current, seen([shard(1, "100-5460"), shard(2, "0-99,5461-10922"), shard(8, "10923-16383")]))!;
  expect(entries(raiseFloors(next, current, 9))).toEqual([
    "s0 :1 100-5460 >9",
    "s1 :2 0-99,5461-10922 >9",
    "s2 :8 10923-16383 >0",
  ]);
  expect(raiseFloors(next, current, 3)).toEqual(next);
});

/** Whoever is named last owns the slots from there on; five primaries at most. */
function shardsOf(picture: readonly (readonly [from: number, owner: number])[]): ObservedShard[] {
  const sets = new Map<number, SlotSet>();
  const steps = picture.toSorted(([a], [b]) => a - b);
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const owner = (steps.findLast(([from]) => from <= slot) ?? steps[0]!)[1];
    const set = sets.get(owner) ?? new SlotSet();
    set.add(slot);
    sets.set(owner, set);
  }
  return [...sets].map(([owner, slots]) => ({ primary: { host: "h", port: owner + 1 }, slots, replicas: [] }));
}
