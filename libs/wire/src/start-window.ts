import { z } from "zod";

/** A span of every day in which full copies may start. */
export interface StartWindow {
  /** Minutes since midnight in `zone`, 0 to 1439. */
  readonly fromMinute: number;
  /** The first minute behind it, 0 to 1439. Lower than `fromMinute` where the span crosses midnight. */
  readonly toMinute: number;
  /** IANA name of the time zone. */
  readonly zone: string;
}

const WINDOW = /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)(?: ([A-Za-z][A-Za-z0-9_+/-]{0,63}))?$/;
const EXPECTED = 'expected "HH:MM-HH:MM", in UTC or with a time zone behind it such as "22:00-05:00 Europe/Berlin"';
const DAY_MINUTES = 1_440;
const MINUTE_MS = 60_000;

/** A start window as its text says it, or what is wrong with the text. */
export function parseStartWindow(text: string): StartWindow | string {
  const fields = WINDOW.exec(text);
  if (fields === null) return EXPECTED;
  const [, fromHour, fromMinute, toHour, toMinute, zone = "UTC"] = fields;
  const window = {
    fromMinute: Number(fromHour) * 60 + Number(fromMinute),
    toMinute: Number(toHour) * 60 + Number(toMinute),
    zone,
  };
  if (window.fromMinute === window.toMinute)
    return "expected an end other than the beginning; without `startWindow` a copy starts at any time";
  return isZone(zone) ? window : `expected a time zone of the IANA list such as Europe/Berlin, found ${zone}`;
}

function isZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

/**
 * Milliseconds from `nowMs` (wall clock since 1970) until the window is open; 0 inside it. On the night in which clocks change
 * it may be an hour off: ask again when it is over.
 */
export function untilWindowMs({ fromMinute, toMinute, zone }: StartWindow, nowMs: number): number {
  const minute = minuteOfDay(nowMs, zone);
  const lengthMinutes = (toMinute - fromMinute + DAY_MINUTES) % DAY_MINUTES;
  const sinceMinutes = (minute - fromMinute + DAY_MINUTES) % DAY_MINUTES;
  if (sinceMinutes < lengthMinutes) return 0;
  return (DAY_MINUTES - sinceMinutes) * MINUTE_MS - (((nowMs % MINUTE_MS) + MINUTE_MS) % MINUTE_MS);
}

function minuteOfDay(nowMs: number, timeZone: string): number {
  const format = new Intl.DateTimeFormat("en-GB", { timeZone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const parts = new Map(format.formatToParts(nowMs).map(({ type, value }) => [type, Number(value)]));
  return (parts.get("hour") ?? 0) * 60 + (parts.get("minute") ?? 0);
}

/** A start window in a pipeline file. */
export const startWindowSchema = z
  .string(EXPECTED)
  .regex(WINDOW, EXPECTED)
  .transform((text, context): StartWindow => {
    const window = parseStartWindow(text);
    if (typeof window !== "string") return window;
    context.addIssue({ code: "custom", message: window, input: text });
    return z.NEVER;
  })
  .meta({ unit: '"HH:MM-HH:MM" or "HH:MM-HH:MM Zone"' });
