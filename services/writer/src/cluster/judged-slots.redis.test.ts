import { slotTag } from "@sluice/redis";
import { formatMark, slotMarkKey, SlotSet } from "@sluice/wire";
import { expect, test } from "vitest";
import type { DivergencePolicy } from "../repair/key-repair.ts";
import { runsOf } from "../repair/source-lane.sample.ts";
import { faultOf, TamperedCluster } from "./tampered-cluster.sample.ts";

/** A few slots on each of the two nodes. */
const SLOTS = SlotSet.parse("0-4,16379-16383");
const TAG = slotTag(0);
const [LIST, TEXT] = [`{${TAG}}list`, `{${TAG}}text`];

let destination: TamperedCluster;
TamperedCluster.forThisFile(SLOTS, (started) => {
  destination = started;
});

const client = async () => (await destination.nodes.primaryOf(0)).client();
const setMark = async (position: Parameters<typeof formatMark>[0]): Promise<unknown> =>
  (await client()).set(slotMarkKey(TAG, "p", "main"), formatMark(position));

/** A lane was live where the source stands, and has ended. */
async function wasLive(): Promise<void> {
  const { source } = destination;
  const lane = await destination.open(source.repair("halt").repair);
  await lane.claim({ ...source.position, phase: "snap", offset: 0 });
  await lane.goLive(source.position);
  lane.close();
}

// Mutations: cluster-repairs.ts, `#judgeUnread` or `#judgeSlot` without DST-007: no policy covers what an operator has to mend, and the unit is lost.
test.each<DivergencePolicy>(["skip", "repair"])(
  "loud: an error that says nothing about a key halts whatever the policy, also when its answer was lost, with %s",
  async (policy) => {
    const { source } = destination;
    await wasLive();
    const { offset, sequence } = source.position;
    await source.write(`RPUSH ${LIST} a`);
    const group = source.group();
    // As the apply script leaves it.
    const failed = { indexes: [0], count: 1, error: "NOPERM this user has no permissions" };
    await setMark({ ...source.position, judged: { offset, sequence, failed } });
    const { repair, told } = source.repair(policy);
    const lane = await destination.open(repair);
    for (const runs of [runsOf(group), null])
      expect(await faultOf(lane.judge(runs))).toMatchObject({ name: "Halt", code: "DST-007" });
    expect([told.repairedKeys, told.skippedErrors]).toEqual([0, 0]);
    lane.close();
  },
);

// Mutations: cluster-repairs.ts, `judge` takes units above the slot's mark, or up to where it was judged, for ones whose answers were lost: the lane
// halts for what has not run yet, or was settled before.
test("of the units of a slot those are judged that its mark says have run since it was judged last", async () => {
  const { source } = destination;
  await wasLive();
  await source.write(`RPUSH ${LIST} settled`);
  const settled = source.group();
  await source.write(`SET ${TEXT} 1`);
  const open = source.group();
  const { offset, sequence } = settled.target;
  await setMark({ ...open.target, judged: { offset, sequence } });
  await source.write(`RPUSH ${LIST} later`);
  const later = source.group();
  await (await client()).set(LIST, "planted");
  const lane = await destination.open(source.repair("halt").repair);
  expect(lane.unjudged?.to).toEqual({ offset: open.target.offset, sequence: open.target.sequence });
  await lane.judge([settled, open, later].flatMap((group) => runsOf(group)));
  expect(lane.unjudged).toBeNull();
  lane.close();
});
