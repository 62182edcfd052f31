import { expect, test } from "vitest";
import { parseStartWindow, untilWindowMs, type StartWindow } from "./start-window.ts";

const read = (text: string): StartWindow => {
  const window = parseStartWindow(text);
  if (typeof window === "string") throw new Error(window);
  return window;
};
const HOUR_MS = 3_600_000;

test("is a span of minutes in a time zone, UTC where none is named", () => {
  expect(read("01:00-05:30")).toEqual({ fromMinute: 60, toMinute: 330, zone: "UTC" });
  expect(read("22:15-00:00 Europe/Berlin")).toEqual({ fromMinute: 1_335, toMinute: 0, zone: "Europe/Berlin" });
  expect(read("00:00-23:59 Etc/GMT+5")).toMatchObject({ zone: "Etc/GMT+5" });
});

test.each([
  ["1:00-5:00", 'expected "HH:MM-HH:MM"'],
  ["01:00", 'expected "HH:MM-HH:MM"'],
  ["24:00-05:00", 'expected "HH:MM-HH:MM"'],
  ["01:60-05:00", 'expected "HH:MM-HH:MM"'],
  ["01:00 - 05:00", 'expected "HH:MM-HH:MM"'],
  ["01:00-05:00\n", 'expected "HH:MM-HH:MM"'],
  ["01:00-01:00", "expected an end other than the beginning"],
  ["01:00-05:00 Mars/Phobos", "expected a time zone of the IANA list such as Europe/Berlin, found Mars/Phobos"],
])("%j is refused", (text, message) => {
  expect(parseStartWindow(text)).toContain(message);
});

test.each([
  ["01:00-05:00", "2026-01-10T00:59:59.500Z", 500],
  ["01:00-05:00", "2026-01-10T01:00:00Z", 0],
  ["01:00-05:00", "2026-01-10T04:59:59.999Z", 0],
  ["01:00-05:00", "2026-01-10T05:00:00Z", 20 * HOUR_MS],
  ["22:00-05:00", "2026-01-10T23:00:00Z", 0],
  ["22:00-05:00", "2026-01-10T04:00:00Z", 0],
  ["22:00-05:00", "2026-01-10T05:00:00Z", 17 * HOUR_MS],
  ["22:00-23:00 Europe/Berlin", "2026-01-10T21:30:00Z", 0],
  ["22:00-23:00 Europe/Berlin", "2026-07-10T21:30:00Z", 22.5 * HOUR_MS],
  ["22:00-23:00 Asia/Kolkata", "2026-07-10T16:30:00Z", 0],
])("%s at %s opens in %i ms", (text, at, waitMs) => {
  expect(untilWindowMs(read(text), Date.parse(at))).toBe(waitMs);
});
