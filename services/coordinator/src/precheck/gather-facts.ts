import { endpointName, infoFields, primaryBySentinels, ReplyError, sentinelConnections, type Endpoint } from "@sluice/redis";
import { describeFault } from "@sluice/runtime";
import type { DestinationSpec } from "@sluice/wire";
import type { Redis } from "ioredis";
import { askCluster } from "./ask-cluster.ts";
import { askServer } from "./ask-server.ts";
import type { DestinationFacts, EndpointFacts, ForeignKeys, PrecheckFacts, ServerFacts } from "./facts.ts";
import { foreignKeys, keyspaceOf } from "./foreign-keys.ts";
import { highestMark, laneMarks, slotMarks, type MarkOwner } from "./read-marks.ts";

/** The servers of a pipeline, ready to connect. */
export interface PipelineEndpoints {
  readonly name: string;
  /** Lanes that the slot space may be cut into. */
  readonly lanes: number;
  readonly source: Endpoint;
  readonly destinations: readonly {
    readonly group: string;
    readonly existing: DestinationSpec["existing"];
    readonly endpoint: Endpoint;
  }[];
}

/** Asks every server of a pipeline what the checks need, side by side. Never rejects for what a server does: that is a fact. */
export async function gatherFacts({ name, lanes, source, destinations }: PipelineEndpoints): Promise<PrecheckFacts> {
  const [asked, ...others] = await Promise.all([
    askSource(source),
    ...destinations.map(async ({ group, existing, endpoint }): Promise<DestinationFacts> => {
      const { facts, held } = await askEndpoint(`destination ${group}`, endpoint, { name, group, lanes });
      return { ...facts, existing, mark: highestMark(held.marks), foreign: held.foreign };
    }),
  ]);
  return { source: asked.facts, destinations: others };
}

/** What of a destination's keys counts: its marks as they stand there, and those that are not Sluice's own. */
interface HeldKeys {
  readonly marks: readonly string[];
  readonly foreign: readonly ForeignKeys[];
}

const NOTHING: HeldKeys = { marks: [], foreign: [] };

/** How long a Sentinel may take to answer. */
const SENTINEL_TIMEOUT_MS = 3_000;

/** A source behind Sentinels is asked where these say that it is. */
async function askSource(source: Endpoint): ReturnType<typeof askEndpoint> {
  const { sentinels, ...rest } = source;
  if (sentinels === undefined) return askEndpoint("source", source, null);
  const connections = sentinelConnections(source, sentinels, SENTINEL_TIMEOUT_MS);
  try {
    return await askEndpoint("source", { ...rest, ...(await primaryBySentinels(connections, sentinels)) }, null);
  } catch (cause) {
    const isRefused = cause instanceof Error && cause.cause instanceof ReplyError;
    const failure = { kind: isRefused ? ("credentials" as const) : ("unreachable" as const), reason: describeFault(cause) };
    const address = endpointName(source);
    return { facts: { endpoint: "source", address, failure, server: null, cluster: null, identities: [] }, held: NOTHING };
  } finally {
    connections.close();
  }
}

/** `owner`: null for a source. */
async function askEndpoint(
  name: string,
  endpoint: Endpoint,
  owner: MarkOwner | null,
): Promise<{ facts: EndpointFacts; held: HeldKeys }> {
  const facts = { endpoint: name, address: endpointName(endpoint), failure: null, server: null, cluster: null, identities: [] };
  const { failure, answer } = await askServer(endpoint, async (client) => {
    const fields = infoFields(await client.info());
    const server = serverFacts(fields);
    const isReady = !server.isCluster && !server.isLoading && owner !== null;
    return { server, held: isReady ? await heldKeys(client, fields, owner) : NOTHING };
  });
  if (answer === null) return { facts: { ...facts, failure }, held: NOTHING };
  const { server, held } = answer;
  if (!server.isCluster) return { facts: { ...facts, server, identities: server.runId === "" ? [] : [server.runId] }, held };
  if (server.isLoading) return { facts: { ...facts, server }, held };
  const asked = await askCluster(endpoint, owner === null ? null : (client, slots) => nodeKeys(client, slots, owner));
  const { cluster, identities, keys } = asked;
  const all = { marks: keys.flatMap(({ marks }) => marks), foreign: keys.flatMap(({ foreign }) => foreign) };
  return { facts: { ...facts, server, cluster, identities }, held: all };
}

async function heldKeys(client: Redis, fields: ReadonlyMap<string, string>, owner: MarkOwner): Promise<HeldKeys> {
  const marks = await laneMarks(client, owner);
  const foreign = await foreignKeys(client, keyspaceOf(fields), (db) => `in database ${db}`);
  return { marks, foreign };
}

/** One primary of a cluster, which has only database 0. */
async function nodeKeys(client: Redis, slots: string, owner: MarkOwner): Promise<HeldKeys> {
  const { host = "", port = 0 } = client.options;
  const keyspace = keyspaceOf(infoFields(await client.info("keyspace")));
  const foreign = await foreignKeys(client, keyspace, () => `on ${endpointName({ host, port })}`);
  return { marks: await slotMarks(client, slots, owner), foreign };
}

function serverFacts(fields: ReadonlyMap<string, string>): ServerFacts {
  return {
    runId: fields.get("run_id") ?? "",
    role: fields.get("role") ?? "unknown",
    isCluster: fields.get("cluster_enabled") === "1",
    isLoading: fields.get("loading") === "1",
    databases: [...keyspaceOf(fields).keys()],
  };
}
