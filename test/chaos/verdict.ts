import { compareDeployments, RedisServer, verifyCounters, waitUntil, type WorkloadReport } from "@sluice/testkit";
import { expiryWithGrace, type PipelineStatus } from "@sluice/wire";
import type { Topology } from "./faults/fault.ts";
import type { Journal } from "./journal.ts";
import { PIPELINE, type Stage } from "./stage.ts";

/** From the last fault until all is applied and said to be. */
const RECOVERY_MS = 90_000;
/** Of a status that never became the expected one. */
const MOST_TEXT = 2000;
/** MIGRATE sends the time that is left, so an expiry gets later by the time that its move takes; a key may move often. */
const MIGRATION_MS = 60_000;

/** What was wrong at the end; empty if nothing was. */
export async function verdictOf(stage: Stage, topology: Topology, journal: Journal): Promise<string[]> {
  const report = await stage.load.stop();
  journal.note(`the load has ended: ${report.commands} commands, ${report.lost} without an answer`);
  const wrong = report.errorSamples.map((sample) => `the load was refused a command: ${sample}`);
  const status = await recovered(stage).catch((error: unknown) => String(error).slice(0, MOST_TEXT));
  if (typeof status === "string") return [...wrong, status];
  journal.note(`drained and ${status.state}`);
  wrong.push(...(await recorded(stage)));
  wrong.push(...(await differences(stage, topology, status)));
  wrong.push(...(await miscounted(stage, report)));
  return wrong;
}

async function recovered({ services: { status } }: Stage): Promise<PipelineStatus> {
  const startMs = performance.now();
  await status.drained(PIPELINE, RECOVERY_MS);
  const leftMs = Math.max(1000, RECOVERY_MS - (performance.now() - startMs));
  return status.until(PIPELINE, "synchronizing", ({ state }) => state === "synchronizing", leftMs);
}

/** What the recorders saw, once they have read all that the primaries wrote. */
async function recorded({ destination, recorders }: Stage): Promise<string[]> {
  const ports = new Set((await destination.primaries()).map(({ port }) => port));
  for (const recorder of recorders.filter(({ port }) => ports.has(port))) {
    const node = destination.nodes.find(({ port }) => port === recorder.port);
    const client = node?.client();
    const info = (await client?.info("replication")) ?? "";
    const goal = Number(/^master_repl_offset:(\d+)/m.exec(info)?.[1]);
    await waitUntil(
      `the recorder of port ${recorder.port} reaches ${goal}`,
      () => recorder.failure !== undefined || recorder.offset >= goal,
    );
  }
  return recorders.flatMap(({ history, failure }) => {
    const wrong = history.violations.map((violation) => `recorder: ${violation}`);
    if (history.violationCount > wrong.length) wrong.push(`recorder: ${history.name}: ${history.violationCount} in all`);
    return failure === undefined ? wrong : [...wrong, `recorder: ${history.name}: ${describe(failure)}`];
  });
}

async function differences(stage: Stage, topology: Topology, { expiryGraceMs }: PipelineStatus): Promise<string[]> {
  const comparison = await compareDeployments(await stage.oracle(), stage.destination.deployment, {
    source: stage.source.deployment,
    expiryOf: (expireAtMs) => expiryWithGrace(expireAtMs, expiryGraceMs),
    ...(topology === "ss" ? {} : { expiryMayBeLaterByMs: MIGRATION_MS }),
  });
  const told = comparison.differences.map(({ db, key, what }) => `db ${db}, ${key}: ${what}`);
  if (comparison.keys < 1000) told.push(`only ${comparison.keys} keys were compared`);
  return comparison.differenceCount > told.length ? [...told, `${comparison.differenceCount} keys differ in all`] : told;
}

async function miscounted({ destination: { deployment } }: Stage, report: WorkloadReport): Promise<string[]> {
  if (!(deployment instanceof RedisServer)) return verifyCounters(deployment, report);
  const client = deployment.client();
  try {
    return await verifyCounters(client, report);
  } finally {
    client.disconnect();
  }
}

function describe(failure: unknown): string {
  return failure instanceof Error ? (failure.stack ?? failure.message) : JSON.stringify(failure);
}
