import { pipelineState, type PipelineState } from "@sluice/wire";
import fc from "fast-check";
import { expect, test } from "vitest";
import { observeState, type LaneFacts, type ShardFacts, type StateFacts } from "./state.ts";
import { FIRST_STATE, stepsTo, transitions } from "./transitions.ts";

const states = pipelineState.options;
const halt = { code: "DST-004", message: "m", remedy: "r", at: 1 };
const retry = { endpoint: "source s0", since: 1, reason: "away" };

const trouble = { retry: fc.constantFrom(null, null, null, retry), halt: fc.constantFrom(null, null, null, null, halt) };
const shard: fc.Arbitrary<ShardFacts> = fc.record({
  id: fc.constant("s0"),
  owner: fc.constantFrom(null, "i0"),
  floor: fc.constantFrom(0, 1),
  seen: fc.option(fc.record({ phase: fc.constantFrom("connecting", "copying", "streaming"), epoch: fc.nat(2), ...trouble })),
});
const lane: fc.Arbitrary<LaneFacts> = fc.record({
  label: fc.constant("main.s0.0"),
  owner: fc.constantFrom(null, "w0"),
  seen: fc.option(fc.record({ phase: fc.constantFrom("snap", "live"), epoch: fc.nat(2), ...trouble })),
  lagSeconds: fc.constantFrom(null, 0, 5, 60),
});
const facts: fc.Arbitrary<Omit<StateFacts, "previous">> = fc.record({
  desired: fc.constantFrom("created", "checking", "running", "running", "running", "paused", "stopped", "failed", "cut-over"),
  precheck: fc.option(fc.record({ isPassed: fc.boolean(), reason: fc.constant("") })),
  failure: fc.constantFrom(null, halt),
  isReleased: fc.boolean(),
  stop: fc.option(fc.record({ isDone: fc.boolean(), reason: fc.constant("") })),
  cutover: fc.option(
    fc.record({
      phase: fc.constantFrom("draining", "stopping", "settling", "done"),
      reason: fc.constant(""),
      halt: fc.constantFrom(null, halt),
      retry: fc.constant(null),
    }),
    { freq: 8 },
  ),
  fullStream: fc.constant(null),
  shards: fc.array(shard, { maxLength: 2 }),
  lanes: fc.array(lane, { maxLength: 2 }),
  watches: fc.array(fc.record(trouble), { maxLength: 1 }),
});

// Mutations: transitions.ts, stepsTo without its search, [to] alone; state.ts, checking that answers "stopped" for a failed check.
test("whatever the records say, one look after the other, the state takes no step that the table lacks", () => {
  fc.assert(
    fc.property(fc.array(facts, { maxLength: 30 }), (looks) => {
      let previous: PipelineState | null = null;
      for (const look of looks) {
        const target: PipelineState = observeState({ ...look, previous }).state;
        for (const next of stepsTo(previous, target)) {
          if (previous === null) expect(next).toBe(FIRST_STATE);
          else expect(Object.keys(transitions[previous])).toContain(next);
          previous = next;
        }
        // Nothing leads back to before the first start, nor out of the end.
        if (target !== "created" && previous !== "cut-over") expect(previous).toBe(target);
      }
    }),
    { numRuns: 500 },
  );
});

test("every state is reached from the first, and every one but the last is left", () => {
  for (const state of states) {
    if (state !== FIRST_STATE) expect(stepsTo(FIRST_STATE, state).at(-1), state).toBe(state);
    expect(Object.keys(transitions[state]).length > 0, state).toBe(state !== "cut-over");
  }
});

test("steps that nobody saw lead through what every start passes, never through a failure, a pause or a cut-over", () => {
  expect(stepsTo(null, "copying")).toEqual(["created", "prechecking", "ready", "copying"]);
  expect(stepsTo("created", "failed")).toEqual(["prechecking", "ready", "failed"]);
  expect(stepsTo("stopped", "synchronizing")).toEqual(["ready", "synchronizing"]);
  expect(stepsTo("cutting-over", "paused")).toEqual(["ready", "paused"]);
  expect(stepsTo("synchronizing", "cut-over")).toEqual(["cutting-over", "cut-over"]);
  expect(stepsTo("synchronizing", "blocked")).toEqual(["prechecking", "blocked"]);
  expect(stepsTo("paused", "paused")).toEqual([]);
  expect(stepsTo("cut-over", "ready")).toEqual([]);
});
