import { slotTag, type Address, type ClusterConnections, type Deployment } from "@sluice/redis";
import { Halt } from "@sluice/runtime";
import { OWN_KEY_PREFIX, SlotSet } from "@sluice/wire";

/** How far a destination is settled, as it says itself. */
export interface SettledNote {
  /** `begun`: every expiry carries the grace and is odd, or is settled and even; `done`: nothing carries it any more. */
  readonly state: "begun" | "done";
  /** The highest of the marks then: a later copy brings the grace again, and a later epoch. */
  readonly epoch: number;
  readonly graceMs: number;
  /** Which slots were together on a server then. */
  readonly slots: string;
}

const NOTE = /^1\|(begun|done)\|(\d{1,15})\|(\d{1,15})\|([\d,| -]*)$/;

/**
 * Stands in the destination beside the marks, because the records may be lost, which is when settling without them is for: a
 * second walk over what is settled would take the grace away once more, and keys would go before their time.
 */
export function settledNoteKey(pipeline: string, group: string): string {
  return `${OWN_KEY_PREFIX}${slotTag(0)}}:${pipeline}:${group}:settled`;
}

/** The note of a destination; null where there is none, or one of an earlier epoch than `epoch`. Throws `Halt` DST-005 at anything else. */
export async function readSettledNote(
  connections: ClusterConnections,
  seen: Deployment,
  key: string,
  epoch: number,
): Promise<SettledNote | null> {
  const reply = await connections.call(holderOf(seen), ["GET", key]);
  if (!Buffer.isBuffer(reply)) return null;
  const fields = NOTE.exec(reply.toString("latin1"));
  if (fields === null) throw new Halt("DST-005", `${key} in the destination is not what this release writes there`);
  const [, state, written, graceMs, slots] = fields;
  if (Number(written) < epoch) return null;
  return {
    state: state as SettledNote["state"],
    epoch: Number(written),
    graceMs: Number(graceMs),
    slots: slots as string,
  };
}

export async function writeSettledNote(
  connections: ClusterConnections,
  seen: Deployment,
  key: string,
  { state, epoch, graceMs, slots }: SettledNote,
): Promise<void> {
  await connections.call(holderOf(seen), ["SET", key, `1|${state}|${epoch}|${graceMs}|${slots}`]);
}

function holderOf({ primaries }: Deployment): Address {
  const holder = primaries.find(({ slots }) => SlotSet.parse(slots).has(0));
  if (holder === undefined) throw new Error("nobody owns slot 0");
  return holder;
}
