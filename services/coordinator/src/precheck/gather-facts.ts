import { endpointName, slotTag, type Endpoint } from "@sluice/redis";
import { describeFault } from "@sluice/runtime";
import { laneMarkKey, MarkError, OWN_KEY_PREFIX, parseMark, type DestinationSpec, type Position } from "@sluice/wire";
import type { Redis } from "ioredis";
import { controlClient } from "../endpoint/control-client.ts";
import { infoFields } from "../endpoint/info-fields.ts";
import type { DestinationFacts, EndpointFacts, EndpointFailure, PrecheckFacts, ServerFacts } from "./facts.ts";

const SCAN_COUNT = 512;

/** The servers of a pipeline, ready to connect. */
export interface PipelineEndpoints {
  readonly name: string;
  readonly source: Endpoint;
  readonly destinations: readonly {
    readonly group: string;
    readonly existing: DestinationSpec["existing"];
    readonly endpoint: Endpoint;
  }[];
}

/** Asks every server of a pipeline what the checks need, side by side. Never rejects for what a server does: that is a fact. */
export async function gatherFacts({ name, source, destinations }: PipelineEndpoints): Promise<PrecheckFacts> {
  const [asked, ...others] = await Promise.all([
    askEndpoint("source", source, () => Promise.resolve(null)),
    ...destinations.map(async ({ group, existing, endpoint }): Promise<DestinationFacts> => {
      const { facts, more } = await askEndpoint(`destination ${group}`, endpoint, async (client, keyspace) => ({
        mark: await readMark(client, name, group),
        foreign: await foreignDatabases(client, keyspace),
      }));
      return { ...facts, existing, mark: more?.mark ?? null, foreign: more?.foreign ?? [] };
    }),
  ]);
  return { source: asked.facts, destinations: others };
}

async function askEndpoint<T>(
  name: string,
  endpoint: Endpoint,
  askMore: (client: Redis, keyspace: ReadonlyMap<number, number>) => Promise<T>,
): Promise<{ facts: EndpointFacts; more: T | null }> {
  const { user, password, ...open } = endpoint;
  const client = controlClient(open, { isLasting: false });
  let lastError: unknown;
  client.on("error", (error) => (lastError = error));
  const facts = { endpoint: name, address: endpointName(endpoint), failure: null, server: null };
  try {
    await client.connect();
    if (password !== undefined) await (user === undefined ? client.auth(password) : client.auth(user, password));
    const info = infoFields(await client.info());
    const server = serverFacts(info);
    const more = server.isCluster || server.isLoading ? null : await askMore(client, keyspaceOf(info));
    return { facts: { ...facts, server }, more };
  } catch (cause) {
    return { facts: { ...facts, failure: failureOf(lastError ?? cause) }, more: null };
  } finally {
    client.disconnect();
  }
}

/** Error replies begin with a word in capitals (Redis protocol, "Simple errors"); these are about who we are. */
const REFUSED = /^(NOAUTH|WRONGPASS|NOPERM|ERR (invalid password|Client sent AUTH|AUTH|operation not permitted))/i;

function failureOf(cause: unknown): EndpointFailure {
  const reason = describeFault(cause);
  if (REFUSED.test(reason)) return { kind: "credentials", reason };
  return { kind: cause instanceof Error && cause.name === "ReplyError" ? "no-answer" : "unreachable", reason };
}

function serverFacts(info: ReadonlyMap<string, string>): ServerFacts {
  return {
    runId: info.get("run_id") ?? "",
    role: info.get("role") ?? "unknown",
    isCluster: info.get("cluster_enabled") === "1",
    isLoading: info.get("loading") === "1",
  };
}

/** Database → number of keys, of `db3:keys=12,expires=0,…`. */
function keyspaceOf(info: ReadonlyMap<string, string>): Map<number, number> {
  const keyspace = new Map<number, number>();
  for (const [name, value] of info) {
    const db = /^db(\d+)$/.exec(name)?.[1];
    const keys = /^keys=(\d+)/.exec(value)?.[1];
    if (db !== undefined && keys !== undefined) keyspace.set(Number(db), Number(keys));
  }
  return keyspace;
}

async function readMark(client: Redis, pipeline: string, group: string): Promise<Position | string | null> {
  const text = await client.get(laneMarkKey(slotTag(0), pipeline, group, "s0", 0));
  if (text === null) return null;
  try {
    return parseMark(text);
  } catch (cause) {
    if (cause instanceof MarkError) return describeFault(cause);
    throw cause;
  }
}

/** Looks at keys only until the first that is not Sluice's own. */
async function foreignDatabases(client: Redis, keyspace: ReadonlyMap<number, number>): Promise<{ db: number; keys: number }[]> {
  const foreign: { db: number; keys: number }[] = [];
  for (const [db, keys] of keyspace) {
    await client.select(db);
    let cursor = "0";
    do {
      const [next, found] = await client.scan(cursor, "COUNT", SCAN_COUNT);
      cursor = next;
      if (found.some((key) => !key.startsWith(OWN_KEY_PREFIX))) {
        foreign.push({ db, keys });
        break;
      }
    } while (cursor !== "0");
  }
  return foreign;
}
