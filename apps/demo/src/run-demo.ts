import { formatSeconds, OperatorError, type Screen } from "@sluice/cli";
import type { RedisServer } from "@sluice/testkit";
import { Demo, type DemoResult } from "./demo.ts";
import type { DemoOptions } from "./demo-options.ts";
import { figuresTable } from "./figures.ts";
import { serversOf } from "./layout.ts";
import { PIPELINE, Stage } from "./stage.ts";

/**
 * Runs the demo from an empty stage to an empty stage. Exit code 0 only when every key was found identical; the line
 * `identical` is then the last one. After a failure the folder with the logs stays.
 */
export async function runDemo(options: DemoOptions, screen: Screen, interrupted: AbortSignal): Promise<0 | 1> {
  const startMs = performance.now();
  const { layout, seed, keys, rate, seconds } = options;
  screen.print(`sluice demo --layout ${layout} --seed ${seed} --keys ${keys} --rate ${rate} --seconds ${seconds}`);
  screen.update("servers", "starting redis-server");
  const stage = await Stage.build(layout);
  screen.clear();
  for (const line of stage.describe()) screen.print(line);
  const demo = new Demo(options, stage, screen, interrupted);
  let isIdentical = false;
  try {
    const result = await demo.perform();
    isIdentical = result.faults.length === 0;
    if (options.keep) {
      tell(result, stage, screen, startMs);
      screen.print(wayAround(stage));
      await demo.linger();
    }
    screen.update("ending", "ending everything");
    await demo.end(true);
    screen.clear();
    if (!options.keep) tell(result, stage, screen, startMs);
  } catch (cause) {
    screen.clear();
    await demo.end(false);
    if (interrupted.aborted) screen.print("interrupted; everything is ended");
    else if (cause instanceof Error) throw new OperatorError(cause.message, `The logs are in ${stage.dir}`, 1, { cause });
    else throw cause;
  } finally {
    await stage.clear(!isIdentical && !interrupted.aborted);
  }
  return isIdentical ? 0 : 1;
}

/** Prints the figures, and what is wrong or that nothing is. */
function tell({ figures, faults }: DemoResult, stage: Stage, screen: Screen, startMs: number): void {
  screen.print(`\n${figuresTable(figures)}\n`);
  screen.print(`in ${formatSeconds((performance.now() - startMs) / 1000)} altogether`);
  if (faults.length === 0) screen.print("identical");
  else for (const line of [...faults, `logs: ${stage.dir}`, "NOT identical"]) screen.print(line);
}

function wayAround({ layout, source, destination, oracle, dataDirectory, dir }: Stage): string {
  const cli = (server: RedisServer | undefined, role: string): string => {
    const command = layout === "cluster" ? "cluster nodes" : "info keyspace";
    return `  redis-cli -p ${server?.port} ${command}        ${role}`;
  };
  return [
    "",
    "Everything goes on running, under load, until Ctrl-C. To look around:",
    cli(serversOf(source)[0], "the source"),
    cli(serversOf(destination)[0], "the destination"),
    ...oracle.servers.map(({ port }) => `  redis-cli -p ${port} info keyspace        a replica of the source`),
    `  ./sluice status ${PIPELINE} --watch --data ${dataDirectory}`,
    `  ls ${dataDirectory}/log ${dir}`,
  ].join("\n");
}
