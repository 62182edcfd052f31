import { InvalidArgumentError } from "commander";
import { MOST_PREVIEWED_NAMES, MOST_SAMPLED_KEYS, parseDuration } from "@sluice/wire";
import type { Waivers } from "./api/api-client.ts";

const MAX_INSTANCES = 64;
const MOST_EVENTS = 500;
const CHECK_ID = /^[a-z0-9]+(-[a-z0-9]+)*$/;
const LONGEST_REASON = 500;

/** How many processes of a service. */
export function instances(text: string): number {
  return wholeNumber(text, MAX_INSTANCES);
}

/** How many events are listed. */
export function eventCount(text: string): number {
  return wholeNumber(text, MOST_EVENTS);
}

/** How many keys are looked at, about. */
export function sampleSize(text: string): number {
  return wholeNumber(text, MOST_SAMPLED_KEYS);
}

/** One name more of `--key`. */
export function keyName(text: string, before: readonly string[] = []): readonly string[] {
  if (before.length >= MOST_PREVIEWED_NAMES) throw new InvalidArgumentError(`Expected at most ${MOST_PREVIEWED_NAMES} names.`);
  return [...before, text];
}

export function duration(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs === null) throw new InvalidArgumentError("Expected a duration such as 30s or 5m.");
  return durationMs;
}

/** One `ID` more of `--only`. */
export function checkId(text: string, before: readonly string[] = []): readonly string[] {
  if (!CHECK_ID.test(text)) throw new InvalidArgumentError("Expected the id of a check, e.g. source-backlog.");
  return [...before, text];
}

/** One `ID=REASON` more of `--ignore`; the reason may be missing. */
export function waiver(text: string, before: Waivers = []): Waivers {
  const at = text.indexOf("=");
  const id = at < 0 ? text : text.slice(0, at);
  const reason = at < 0 ? "" : text.slice(at + 1);
  if (!CHECK_ID.test(id)) throw new InvalidArgumentError('Expected ID=REASON, e.g. source-backlog="it is quiet".');
  if (reason.length > LONGEST_REASON) throw new InvalidArgumentError(`The reason is longer than ${LONGEST_REASON} characters.`);
  return [...before, { id, reason }];
}

function wholeNumber(text: string, most: number): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= most) return count;
  throw new InvalidArgumentError(`Expected a whole number from 1 to ${most}.`);
}
