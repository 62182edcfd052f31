import type { ApiEvent } from "@sluice/wire";
import { printable } from "./printable.ts";

/** `2026-11-23 01:36:47Z  orders  state  copying`; the time is UTC, as in the logs. */
export function eventLine({ at, pipeline, kind, text }: ApiEvent): string {
  const time = new Date(at).toISOString().slice(0, 19).replace("T", " ");
  return `${time}Z  ${pipeline}  ${kind.padEnd(8)}  ${printable(text)}`;
}
