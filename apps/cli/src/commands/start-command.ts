import type { PipelineStatus } from "@sluice/wire";
import type { ApiClient, Waivers } from "../api/api-client.ts";
import { statusIfAny, untilRunning } from "../api/until-running.ts";
import { OperatorError } from "../operator-error.ts";
import { pipelineTarget, type PipelineTarget } from "../pipeline-target.ts";
import { readPipeline } from "../read-pipeline.ts";
import { follow } from "../run/follow.ts";
import { Interrupts } from "../run/interrupts.ts";
import { printable } from "../view/printable.ts";
import { answer, clientOf, hint, screenFor, type ApiOptions } from "./asking.ts";

export interface StartOptions extends ApiOptions {
  readonly ignore?: Waivers;
  readonly copy?: boolean;
  readonly follow?: boolean;
  readonly wait?: boolean;
}

/** `sluice create`: kept, and not started. Passwords are read here, where the command runs. */
export async function createPipeline(file: string, options: StartOptions): Promise<void> {
  const { name, written } = await readPipeline(file, process.env);
  const ignore = options.ignore === undefined ? {} : { ignore: options.ignore };
  const created = await clientOf(options).create(written, { start: false, ...ignore });
  const text = created.outcome === "created" ? "is created" : "exists with these endpoints; nothing was started";
  answer(options, created, `${name} ${text}\nto start it: sluice start ${name}`);
}

/** `sluice start`: asks for it and follows it until the pipeline runs, or for ever where `follow` is set. */
export async function startPipeline(said: string, options: StartOptions): Promise<void> {
  const target = await pipelineTarget(said, process.env);
  const api = clientOf(options);
  const before = await statusIfAny(api, target.name);
  await ask(api, target, options);
  if (options.wait === false) {
    answer(options, await api.status(target.name), `the start of ${target.name} is asked for`);
    return;
  }
  await followStart(api, target.name, before, options);
}

/** Shows what becomes of a start that was asked for. */
export async function followStart(
  api: ApiClient,
  name: string,
  before: PipelineStatus | null,
  options: StartOptions,
): Promise<void> {
  const screen = screenFor(options);
  const interrupts = new Interrupts(() => process.exit(1));
  try {
    const status = await untilRunning(api, name, { before, screen, signal: interrupts.signal });
    screen.clear();
    if (status !== null) {
      const why =
        (status.state === "ready" || status.state === "retrying") && status.reason !== ""
          ? `: ${printable(status.reason)}`
          : "";
      answer(options, status, `${name} is ${status.state}${why}`);
    }
    const end =
      status === null ? "interrupted" : options.follow === true ? await follow(api, name, screen, interrupts.signal) : null;
    screen.clear();
    if (end === "stopped") screen.print(`${name} was stopped`);
    if (end !== "stopped")
      hint(options, `it goes on by itself; to watch it: sluice status ${name} --watch; to stop it: sluice stop ${name}`);
  } finally {
    interrupts.close();
  }
}

async function ask(api: ApiClient, { name, written }: PipelineTarget, { ignore, copy }: StartOptions): Promise<void> {
  const waived = ignore === undefined ? {} : { ignore };
  if (written === null) await api.startNamed(name, { ...waived, ...(copy === undefined ? {} : { copy }) });
  else if (copy === true)
    throw new OperatorError("--copy is for a pipeline that there is, by its name", `sluice start ${name} --copy`, 2);
  else await api.create(written, { start: true, ...waived });
}
