import type { DestinationServer } from "@sluice/redis";
import { silentLog, type Logger } from "@sluice/runtime";
import type { DestinationSpec } from "@sluice/wire";
import { LeftOut } from "./left-out.ts";
import { ValueForms, type ValueFormsOptions } from "./value-forms.ts";

let attempts = 0;

/** What of `ValueFormsOptions` a test does not care for. `left`: told of how many more keys something was left out. */
export function formsOptions(
  shift: (expireAtMs: number) => number,
  {
    policy = "halt",
    left = () => undefined,
    log = silentLog(),
  }: { policy?: DestinationSpec["unsupported"]; left?: (more: number) => void; log?: Logger } = {},
): Omit<ValueFormsOptions, "server" | "lacksRestore"> {
  const leftOut = new LeftOut({ group: "main", policy, log, count: left });
  return { pipeline: "p", group: "main", shard: "s0", lane: 0, attempt: `t${++attempts}`, shift, leftOut, log };
}

/** The forms that a server takes, as far as is known before it refuses anything. */
export function sampleForms(
  shift: (expireAtMs: number) => number = (ms) => ms,
  server: DestinationServer = { version: 70_015, isValkey: false },
  options: Parameters<typeof formsOptions>[1] = {},
): ValueForms {
  return new ValueForms({ ...formsOptions(shift, options), server, lacksRestore: null });
}
