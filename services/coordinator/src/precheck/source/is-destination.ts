import { endpointName } from "@sluice/redis";
import { fail, pass, type Precheck, type PrecheckContext } from "../precheck.ts";
import { DeploymentProbe } from "../probe/deployment-probe.ts";
import type { DestinationProbe } from "../probe/destination-probe.ts";
import { pipelinesMarking } from "../probe/own-marks.ts";
import { isAboutCredentials } from "../probe/server-failure.ts";
import { circleOf, type Flow } from "../pipeline-circle.ts";
import { wholeDestinations } from "../server-check.ts";

/** Other pipelines whose sources are asked who they are; the rest are known by their addresses alone. */
const MOST_ASKED = 8;

export const sourceIsDestination: Precheck = {
  id: "source-is-destination",
  title: "Nothing that is written to a destination comes back to the source",
  why: "A server that feeds itself would be overwritten by what it held before, and changes would run in a circle for ever.",
  expected: "a destination that is another server, and neither feeds the source nor is fed by it",
  fix: "Name another server as the destination, or stop the pipeline that leads back.",
  warns: null,
  fails:
    "a destination is the source, or a replica of it, or the source is its replica; other pipelines lead from it to the source",
  code: "PIP-007",
  ifUnknown: "fail",
  run: async (context) => {
    const upstream = await upstreamOf(context);
    return wholeDestinations(context, sourceIsDestination, async (destination) => {
      const same = await sameServer(context, destination);
      if (same !== null) return fail(same, { code: "PIP-007" });
      const replica = await sharedHistory(context, destination);
      if (replica !== null) return fail(replica, { code: "PIP-011" });
      const circle = await circleThrough(context, destination, upstream ?? new Set());
      if (circle !== null) return fail(circle, { code: "PIP-011" });
      if (upstream === null) return pass("they are different servers; who writes to the source, this user may not see");
      const cascade = upstream.size === 0 ? "" : `; pipeline ${[...upstream].join(", ")} writes to the source: a cascade`;
      return pass(`they are different servers${cascade}`);
    });
  },
};

/** Pipelines that write to the source, by their marks there; null where the user may not look. */
async function upstreamOf({ source, subject }: PrecheckContext): Promise<Set<string> | null> {
  try {
    return await pipelinesMarking(source, subject.others);
  } catch (cause) {
    if (isAboutCredentials(cause)) return null;
    throw cause;
  }
}

/** By run ids and node ids, whatever the names under which they are reached. */
async function sameServer({ source }: PrecheckContext, destination: DestinationProbe): Promise<string | null> {
  const own = await identitiesOf(source);
  const shared = (await identitiesOf(destination)).filter((id) => own.includes(id));
  if (shared.length === 0) return null;
  const [to, from] = [endpointName(destination.endpoint), endpointName(source.endpoint)];
  return (await destination.isCluster())
    ? `${to} is part of the same cluster as the source ${from} (equal node ids)`
    : `${to} is the same server as the source ${from} (equal run_id)`;
}

async function identitiesOf(of: DeploymentProbe): Promise<string[]> {
  if (await of.isCluster()) return [...(await of.deployment()).nodeIds];
  const runId = (await (await of.seed()).state()).text("run_id");
  return runId === "" ? [] : [runId];
}

/** Two servers with one replication id have one history: one is a replica of the other, or both are of a third (4.0 and newer). */
async function sharedHistory({ source }: PrecheckContext, destination: DestinationProbe): Promise<string | null> {
  const historiesOf = async (of: DeploymentProbe): Promise<string[]> => {
    const states = await Promise.all((await of.primaries()).map(async (server) => server.state()));
    return states.map((state) => state.text("master_replid")).filter((id) => id !== "");
  };
  const own = await historiesOf(source);
  if (!(await historiesOf(destination)).some((id) => own.includes(id))) return null;
  const [to, from] = [endpointName(destination.endpoint), endpointName(source.endpoint)];
  return `${to} and the source ${from} have one replication history (equal master_replid): one is a replica of the other`;
}

/** What leads from the destination to the source, by the addresses and marks of other pipelines. */
async function circleThrough(
  { source, subject }: PrecheckContext,
  destination: DestinationProbe,
  upstream: ReadonlySet<string>,
): Promise<string | null> {
  if (subject.others.length === 0) return null;
  const [from, to] = [await addressesOf(source), await addressesOf(destination)];
  const flows = subject.others.map((other): Flow => {
    const targets = other.destinations.map(({ endpoint }) => endpointName(endpoint));
    return {
      name: other.name,
      from: endpointName(other.source),
      to: upstream.has(other.name) ? [...targets, ...from] : targets,
    };
  });
  // Those that write to our source may name our destination by another address: they are asked who it is.
  const ids = await identitiesOf(destination);
  const asked = subject.others.filter(({ name }) => upstream.has(name)).slice(0, MOST_ASKED);
  const aliases = await Promise.all(
    asked.map(async (other) => {
      const probe = new DeploymentProbe(`source of ${other.name}`, other.source, source.signal);
      const found = await identitiesOf(probe).catch(() => []);
      return found.some((id) => ids.includes(id)) ? [endpointName(other.source)] : [];
    }),
  );
  const path = circleOf([...to, ...aliases.flat()], from, flows);
  return path === null
    ? null
    : `what is written to ${endpointName(destination.endpoint)} comes back through pipeline ${path.join(", ")}`;
}

async function addressesOf(of: DeploymentProbe): Promise<string[]> {
  const servers = [await of.seed(), ...(await of.primaries()), ...(await of.replicas())];
  return [...new Set([endpointName(of.endpoint), ...servers.map(({ name }) => name)])];
}
