import { endpointName, keySlot, slotTag } from "@sluice/redis";
import { attemptsKey, laneMarkKey, SLOT_COUNT, type SlotSet } from "@sluice/wire";
import { StandaloneDestination, UNLINK_SINCE } from "./apply/standalone-destination.ts";
import { StandaloneLane } from "./apply/standalone-lane.ts";
import { ClusterLane } from "./cluster/cluster-lane.ts";
import type { Keeping } from "./keep/keeping.ts";
import { standaloneKept } from "./keep/lane-keep.ts";
import type { LaneDestination } from "./lane-destination.ts";
import type { LaneWriterOptions } from "./lane-writer.ts";
import type { KeyRepair } from "./repair/key-repair.ts";
import { LeftOut } from "./snapshot/left-out.ts";
import { readLeftovers, removeLeftovers } from "./snapshot/leftovers.ts";
import { ValueForms } from "./snapshot/value-forms.ts";

/** What one session of a lane brings along. */
export interface LaneOpening {
  /** The lane's, with its group. */
  readonly label: string;
  readonly slots: SlotSet;
  readonly repair: KeyRepair;
  /** Null unless its group says `existing: keep`. */
  readonly keeping: Keeping | null;
  /** Told of how many more keys of a copy something was left out. */
  readonly countLeftOut: (more: number) => void;
  readonly signal: AbortSignal;
}

/** Opens the lane in its destination, whichever kind that is. Throws `Retryable` DST-001, DST-003, `Halt` DST-002, DST-005, DST-022, DST-023. */
export async function openLane(options: LaneWriterOptions, opening: LaneOpening): Promise<LaneDestination> {
  const { pipeline, group, shard, lane, endpoint, destination, shift, clock } = options;
  const { label, slots, repair, keeping, countLeftOut, signal } = opening;
  const { unsupported = "halt", log } = options;
  const leftOut = new LeftOut({ group, policy: unsupported, log, count: countLeftOut });
  const attempt = `${options.instance.replace(/[^\w-]/g, "-").slice(0, 40)}-${clock.nowMs().toString(36)}`;
  const values = { pipeline, group, shard, lane, attempt, shift, leftOut, log };
  if (destination.mode === "cluster") {
    const seeds = [...destination.nodes, endpoint].map(({ host, port }) => ({
      name: endpointName({ host, port }),
      host,
      port,
    }));
    const names = { pipeline, group, shard, lane, label };
    const kept = keeping === null ? {} : { keeping };
    return ClusterLane.open({ ...names, endpoint, seeds, slots, shift, values, repair, ...kept, clock, signal });
  }
  const markKey = laneMarkKey(slotTag(0), pipeline, group, shard, lane);
  const target = await StandaloneDestination.open(group, endpoint, markKey, signal);
  try {
    const isSole = slots.size === SLOT_COUNT;
    const owns = isSole ? () => true : (key: Buffer) => slots.has(keySlot(key));
    const mark = target.position === null ? null : target;
    const kept = keeping === null ? {} : { kept: await standaloneKept(options, keeping, slots, mark, signal) };
    const attempts = attemptsKey(slotTag(0), pipeline, group, shard, lane);
    const remove = target.version >= UNLINK_SINCE ? "UNLINK" : "DEL";
    await target.aside(async (connection) => {
      const left = (await readLeftovers(connection, attempts)) ?? [];
      await removeLeftovers(connection, attempts, left, remove);
    });
    const forms = new ValueForms({ ...values, server: target.server, lacksRestore: target.lacksRestore });
    const bounds = { label, markKey, attempts, endpoint, owns, isSole };
    return new StandaloneLane(target, { ...bounds, forms, shift, repair, ...kept, signal });
  } catch (cause) {
    target.close();
    throw cause;
  }
}
