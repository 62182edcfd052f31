import { expect, test } from "vitest";
import { MarkHistory } from "./chaos/mark-history.ts";

const KEY = "sluice:{3560}:orders:main";

function historyOf(...commands: readonly string[]): MarkHistory {
  const history = new MarkHistory("node", true);
  for (const command of commands) {
    const [name = "", ...args] = command.split(" ");
    history.take({ name, args: args.map((arg) => Buffer.from(arg)) });
  }
  return history;
}

const live = (epoch: number, offset: number): string => `SET ${KEY} 1|${epoch}|1|live|s0|${offset}|9`;
const copying = (epoch: number): string => `SET ${KEY} 1|${epoch}|1|snap|s0|0|0`;
const unit = (mark: string): string[] => ["MULTI", mark, "INCR a", "EXEC"];

test("applied-once: transitions that go on are counted, with the commands beside them", () => {
  const history = historyOf(
    ...unit(copying(1)),
    ...unit(copying(1)),
    live(1, 0),
    ...unit(live(1, 10)),
    ...unit(live(1, 20)),
    "PING",
  );
  expect([history.violations, history.transitions, history.dataCommands, history.epoch]).toEqual([[], 4, 4, 1]);
});

test.each([
  ["an offset that goes back", [live(1, 20), live(1, 10)], "a mark went back"],
  ["an epoch that goes back", [live(2, 20), ...unit(live(1, 30))], "a mark went back"],
  ["a copy begun again in its epoch", [live(2, 20), copying(2)], "a mark went back"],
  ["the same units twice", [...unit(live(1, 20)), ...unit(live(1, 20))], "applied twice"],
  [
    "the same units twice, with the mark behind them",
    ["MULTI", "INCR a", live(1, 20), "EXEC", "MULTI", "INCR a", live(1, 20), "EXEC"],
    "applied twice",
  ],
  ["a command that no mark knows", [`APPEND ${KEY} x`], "APPEND on mark"],
])("applied-once: %s is seen", (_, commands, what) => {
  const history = historyOf(...commands);
  expect(history.violationCount).toBe(1);
  expect(history.violations[0]).toContain(what);
});

test("what no history continues is judged by its own: a mark without data, a slot that left, another content", () => {
  expect(historyOf(live(1, 20), live(1, 20)).violations).toEqual([]);
  expect(historyOf(live(1, 20), `DEL ${KEY}`, ...unit(live(1, 10))).violations).toEqual([]);
  const history = historyOf(live(1, 20));
  history.restart(new Map([[KEY, "1|1|1|live|s0|5|9"]]));
  history.take({ name: "SET", args: [Buffer.from(KEY), Buffer.from("1|1|1|live|s0|6|9")] });
  expect(history.violations).toEqual([]);
  history.take({ name: "RESTORE-ASKING", args: [Buffer.from(KEY)] });
  history.arrived(KEY, "1|1|1|live|s0|9|9");
  history.take({ name: "SET", args: [Buffer.from(KEY), Buffer.from("1|1|1|live|s0|7|9")] });
  expect(history.violationCount).toBe(1);
});

test("the mark of a lane may go back in a cluster only, and in its epoch only", () => {
  const lane = (epoch: number, offset: number) => ({
    name: "SET",
    args: [Buffer.from(`${KEY}:s0.3`), Buffer.from(`1|${epoch}|1|live|s0|${offset}|9`)],
  });
  for (const isCluster of [true, false]) {
    const history = new MarkHistory("node", isCluster);
    for (const [epoch, offset] of [
      [2, 20],
      [2, 10],
      [1, 30],
    ] as const)
      history.take(lane(epoch, offset));
    expect([history.setBacks, history.violationCount]).toEqual(isCluster ? [1, 1] : [0, 2]);
  }
});
