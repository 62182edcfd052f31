import type { PipelineState } from "@sluice/wire";

/** What leads from a state to others, in words for the diagram and for events. */
type Leads = Partial<Record<PipelineState, string>>;

const ENDINGS = {
  paused: "pause",
  failed: "a halt, or a retry window closes",
  stopped: "stop",
  "cutting-over": "cutover",
  prechecking: "endpoints edited",
} as const satisfies Leads;
const COPY = "a full copy is needed";
const BEHIND = "a lane is behind";
const CLOSE = "every lane is close to the source";
const WAITS = "an endpoint is away";
const BEGUN = "begun anew, nothing reports yet";

/**
 * Every step that the state of a pipeline can take, and by what. What is observed is worked out from records alone, so that a
 * look may find a pipeline several steps further than the one before (the coordinator was away): then each step on the way is
 * written, by `stepsTo`. Nothing leads out of `cut-over`.
 */
export const transitions: Readonly<Record<PipelineState, Leads>> = {
  created: { prechecking: "start", stopped: "stop", "cutting-over": "cutover --force, settle" },
  prechecking: {
    blocked: "a check failed",
    ready: "every check passed",
    stopped: "stop",
    "cutting-over": "cutover --force",
  },
  blocked: {
    prechecking: "start, or another check",
    ready: "a rerun passed",
    stopped: "stop",
    "cutting-over": "cutover --force",
  },
  ready: {
    copying: COPY,
    "catching-up": "continued behind the source",
    synchronizing: "continued close to the source",
    retrying: WAITS,
    ...ENDINGS,
  },
  copying: { "catching-up": "the copy is applied", synchronizing: CLOSE, retrying: WAITS, ready: BEGUN, ...ENDINGS },
  "catching-up": { synchronizing: CLOSE, copying: COPY, retrying: WAITS, ready: BEGUN, ...ENDINGS },
  synchronizing: { "catching-up": BEHIND, copying: COPY, retrying: WAITS, ready: BEGUN, ...ENDINGS },
  retrying: {
    copying: "it is back, in a copy",
    "catching-up": "it is back",
    synchronizing: "it is back",
    ready: BEGUN,
    ...ENDINGS,
  },
  paused: {
    ready: "resume",
    copying: "resume",
    "catching-up": "resume",
    synchronizing: "resume",
    retrying: "resume",
    failed: "a halt, or a retry window closes",
    stopped: "stop",
    "cutting-over": "cutover --force",
    prechecking: "resume after endpoints were edited",
  },
  failed: {
    ready: "resume",
    copying: "resume",
    "catching-up": "resume",
    synchronizing: "resume",
    retrying: "resume",
    paused: "pause",
    stopped: "stop",
    "cutting-over": "cutover --force",
    prechecking: "resume after endpoints were edited",
  },
  stopped: { ready: "start", prechecking: "start of one that never ran, or was edited", "cutting-over": "cutover --force" },
  "cutting-over": {
    "cut-over": "every expiry is settled",
    failed: "a destination can't be settled",
    ready: "start takes it back",
    copying: "start takes it back",
    "catching-up": "start takes it back",
    synchronizing: "start takes it back",
    retrying: "start takes it back",
    stopped: "stop takes it back",
  },
  "cut-over": {},
};

/** The state that every pipeline begins in. */
export const FIRST_STATE: PipelineState = "created";

/** States that a pipeline may have passed through unseen between two looks. */
const PASSED: ReadonlySet<PipelineState> = new Set(["created", "prechecking", "ready"]);

/**
 * The states to pass through from `from` to `to`, the latter last, along the table by the shortest way; `from` null: from nothing, so
 * that the first state comes first. Empty where they are the same, and where no way leads there.
 */
export function stepsTo(from: PipelineState | null, to: PipelineState): PipelineState[] {
  if (from === null) return [FIRST_STATE, ...stepsTo(FIRST_STATE, to)];
  const ways = new Map<PipelineState, PipelineState[]>([[from, []]]);
  for (const [state, way] of ways) {
    if (state === to) return way;
    const isPassable = state === from || PASSED.has(state) || (state === "cutting-over" && to === "cut-over");
    if (!isPassable) continue;
    for (const next of Object.keys(transitions[state]) as PipelineState[]) {
      if (!ways.has(next)) ways.set(next, [...way, next]);
    }
  }
  return [];
}

/** What leads from one state to another, by the table. */
export function reasonOfStep(from: PipelineState, to: PipelineState): string {
  return transitions[from][to] ?? "";
}
