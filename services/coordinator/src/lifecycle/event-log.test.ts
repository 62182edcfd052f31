import type { EventsRecord } from "@sluice/wire";
import { expect, test } from "vitest";
import { MOST_EVENTS, withNews } from "./event-log.ts";

const empty: EventsRecord = { events: [], topology: null };
const state = (text: string) => ({ kind: "state" as const, text });

test("every event has a number of its own, and the oldest are let go", () => {
  let record = empty;
  for (let index = 0; index < MOST_EVENTS + 5; index++) record = withNews(record, [state(`${index}`)], [], index);
  expect(record.events).toHaveLength(MOST_EVENTS);
  expect(record.events[0]).toEqual({ id: 6, at: 5, kind: "state", text: "5" });
  expect(record.events.at(-1)?.id).toBe(MOST_EVENTS + 5);
});

test("what the topology tells is taken over once, with the time that it bears", () => {
  const told = [1, 2, 3].map((at) => ({ at, text: `failover ${at}` }));
  const first = withNews(empty, [], told.slice(0, 2), 10);
  expect(first.events.map(({ text, kind, at }) => [text, kind, at])).toEqual([
    ["failover 1", "topology", 1],
    ["failover 2", "topology", 2],
  ]);
  expect(withNews(first, [], told.slice(0, 2), 11)).toEqual(first);
  const second = withNews(first, [state("copying")], told, 12);
  expect(second.events.slice(2).map(({ text }) => text)).toEqual(["failover 3", "copying"]);
  // The one that was taken over last has left the topology meanwhile: all that is there is new.
  expect(withNews(second, [], [{ at: 9, text: "failover 9" }], 13).events.at(-1)?.text).toBe("failover 9");
});

test("texts of servers are printable and have an end", () => {
  const { events } = withNews(empty, [state(`a\u001b[2J${"x".repeat(5_000)}`)], [], 1);
  expect(events[0]?.text.startsWith("a\\x1b[2J")).toBe(true);
  expect(events[0]?.text.length).toBe(1_000);
});
