import { ApiClient, ApiRefusal, type Waivers } from "../api/api-client.ts";
import { DataDirectory } from "../processes/data-directory.ts";
import { checkNatsServer } from "../processes/nats-plan.ts";
import { readPipeline, type WrittenPipeline } from "../read-pipeline.ts";
import { drain, follow } from "../run/follow.ts";
import { Interrupts } from "../run/interrupts.ts";
import { RunTree, type RunTreeOptions } from "../run/run-tree.ts";
import { Screen } from "../view/screen.ts";

export interface RunOptions extends RunTreeOptions {
  readonly data: string;
  readonly ignore?: Waivers;
}

/** `sluice run`: everything that a pipeline needs, in one process tree, until Ctrl-C. Throws `OperatorError`. */
export async function runPipelineFile(file: string, options: RunOptions): Promise<void> {
  const pipeline = await readPipeline(file, process.env);
  await checkNatsServer();
  const screen = new Screen(process.stdout);
  const directory = await DataDirectory.take(options.data, (name) =>
    screen.print(`ended ${name}, which an earlier run had left behind`),
  );
  const tree = new RunTree(directory, options, (line) => screen.print(line));
  const interrupts = new Interrupts(() => {
    tree.kill();
    screen.clear();
    process.exit(1);
  });
  try {
    await keepRunning(
      { pipeline, ...(options.ignore === undefined ? {} : { ignore: options.ignore }) },
      directory,
      tree,
      screen,
      interrupts.signal,
    );
  } catch (cause) {
    if (!interrupts.signal.aborted) throw cause;
  } finally {
    screen.update("ending", "ending the services");
    await tree.stop();
    screen.clear();
  }
  if (interrupts.signal.aborted) screen.print(`to go on: ${commandToGoOn(file, options)}`);
}

async function keepRunning(
  { pipeline, ignore }: { pipeline: WrittenPipeline; ignore?: Waivers },
  directory: DataDirectory,
  tree: RunTree,
  screen: Screen,
  interrupted: AbortSignal,
): Promise<void> {
  screen.update("starting", "starting nats-server and the services");
  const { api: address, nats } = await tree.start(interrupted);
  screen.clear();
  screen.print(
    `${pipeline.name} · API ${address.includes("://") ? address : `http://${address}`} · ${nats} · data and logs in ${directory.path}`,
  );
  const api = new ApiClient(address);
  await startUnlessCutOver(api, pipeline, ignore);
  const end = await follow(api, pipeline.name, screen, interrupted);
  if (end === "interrupted") {
    screen.print("stopping: what is stored is applied first; Ctrl-C again quits at once");
    const result = await drain(api, pipeline.name, screen);
    screen.clear();
    screen.print(result);
  } else {
    screen.clear();
    screen.print(`${pipeline.name} was stopped`);
  }
}

/** A cut-over that was under way goes on by itself. */
async function startUnlessCutOver(api: ApiClient, { name, written }: WrittenPipeline, ignore?: Waivers): Promise<void> {
  try {
    if (ignore === undefined) await api.start(written);
    else await api.create(written, { start: true, ignore });
  } catch (cause) {
    if (!(cause instanceof ApiRefusal) || cause.code !== "PIP-009") throw cause;
    if ((await api.status(name)).state === "cut-over") throw cause;
  }
}

function commandToGoOn(file: string, { data }: RunOptions): string {
  return `./sluice run ${file}${data === ".sluice" ? "" : ` --data ${data}`}`;
}
