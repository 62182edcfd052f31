/** Names of pipelines and groups: they stand in subjects, record keys and marks. */
export const NAME = /^[a-z0-9-]{1,32}$/;

/** One lane of one source shard, as a label: `s0.3`. */
export function laneLabel(shard: string, lane: number): string {
  return `${shard}.${lane}`;
}

/** One lane of one writer group, as a label and as the tail of record keys: `main.s0.3`. */
export function groupLaneLabel(group: string, shard: string, lane: number): string {
  return `${group}.${shard}.${lane}`;
}

export function parseGroupLaneLabel(label: string): { group: string; shard: string; lane: number } {
  const fields = /^([a-z0-9-]{1,32})\.(s\d{1,6})\.(\d{1,5})$/.exec(label);
  if (fields === null) throw new Error(`not a lane label: ${JSON.stringify(label.slice(0, 80))}; expected group.shard.lane`);
  return { group: fields[1] as string, shard: fields[2] as string, lane: Number(fields[3]) };
}

/** The JetStream stream of a pipeline. */
export function streamName(pipeline: string): string {
  return `SLUICE_${pipeline}`;
}

/** What the stream of a pipeline listens to. */
export function streamSubjects(pipeline: string): string {
  return `sluice.${pipeline}.>`;
}

/** The changes of a lane: live batches, fences, heartbeats. */
export function liveSubject(pipeline: string, shard: string, lane: number): string {
  return `sluice.${pipeline}.live.${shard}.${lane}`;
}

/** A full copy of a lane: snapshot batches, closed by a snapshot-end. */
export function snapSubject(pipeline: string, copy: number, shard: string, lane: number): string {
  return `sluice.${pipeline}.snap.${copy}.${shard}.${lane}`;
}
