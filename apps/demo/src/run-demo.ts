import { formatSeconds, OperatorError, type Screen } from "@sluice/cli";
import { Demo, type DemoResult } from "./demo.ts";
import type { DemoOptions } from "./demo-options.ts";
import { figuresTable } from "./figures.ts";
import { PIPELINE, Stage } from "./stage.ts";

/**
 * Runs the demo from an empty stage to an empty stage. Exit code 0 only when every key was found identical; the line
 * `identical` is then the last one. After a failure the folder with the logs stays.
 */
export async function runDemo(options: DemoOptions, screen: Screen, interrupted: AbortSignal): Promise<0 | 1> {
  const startMs = performance.now();
  screen.print(`sluice demo --seed ${options.seed} --keys ${options.keys} --rate ${options.rate} --seconds ${options.seconds}`);
  const stage = await Stage.build();
  screen.print(
    `source ${stage.source.port}, its replica ${stage.oracle.port}, destination ${stage.destination.port} (redis-server)`,
  );
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

function wayAround({ source, destination, oracle, dataDirectory, dir }: Stage): string {
  return [
    "",
    "Everything goes on running, under load, until Ctrl-C. To look around:",
    `  redis-cli -p ${source.port} info keyspace        the source`,
    `  redis-cli -p ${oracle.port} info keyspace        its replica`,
    `  redis-cli -p ${destination.port} info keyspace        the destination`,
    `  ./sluice status ${PIPELINE} --watch --data ${dataDirectory}`,
    `  ls ${dataDirectory}/log ${dir}`,
  ].join("\n");
}
