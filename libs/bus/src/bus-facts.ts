import { JetStreamApiError, type JetStreamAccountStats, type JetStreamManager } from "@nats-io/jetstream";
import { headers, PermissionViolationError } from "@nats-io/transport-node";
import { describeFault, Retryable } from "@sluice/runtime";
import { streamName, streamSubjects } from "@sluice/wire";
import type { Link } from "./link.ts";

/** What JetStream tells an account of itself. */
export interface JetStreamFacts {
  /** Bytes that all streams of the account hold on disk. */
  readonly storedBytes: number;
  /** Most that they may hold; null: as much as the servers have, which they do not tell. */
  readonly storageLimitBytes: number | null;
  /** Most that one stream may hold; null without a limit. */
  readonly streamLimitBytes: number | null;
  readonly streams: number;
  readonly streamCountLimit: number | null;
  /** What the pipeline's own stream holds; 0 before there is one. */
  readonly pipelineBytes: number;
}

/** What the bus says of itself to a client. Nothing is written to find it out. */
export interface BusFacts {
  readonly serverVersion: string;
  /** Name of the NATS cluster; null for a server on its own. */
  readonly cluster: string | null;
  /** Servers of it that clients are told of, the one that is connected included; at least 1. */
  readonly knownServers: number;
  /** Copies that each stream shall have. */
  readonly replicas: number;
  readonly maxPayloadBytes: number;
  /** Null where JetStream does not answer; `jetStreamFailure` then says why. */
  readonly jetStream: JetStreamFacts | null;
  readonly jetStreamFailure: string | null;
  /** Subjects that are needed and that this client may not use. */
  readonly refusedSubjects: readonly string[];
}

const ASK_TIMEOUT_MS = 2_000;
const STREAM_NOT_FOUND = 10059;

/** Throws `Retryable` BUS-001 while there is no connection. */
export async function readBusFacts(
  link: Link,
  manager: JetStreamManager,
  replicas: number,
  pipeline: string,
): Promise<BusFacts> {
  const { info } = link.connection;
  if (info === undefined || !link.isUp) throw new Retryable("BUS-001", "bus", "there is no connection to NATS");
  const { jetStream, failure } = await askJetStream(link, manager, replicas, pipeline);
  if (!link.isUp) throw new Retryable("BUS-001", "bus", failure ?? "the connection to NATS broke");
  return {
    serverVersion: info.version,
    cluster: info.cluster ?? null,
    knownServers: new Set([...(info.connect_urls ?? []), `${info.host}:${info.port}`].map(hostAndPort)).size,
    replicas,
    maxPayloadBytes: info.max_payload,
    jetStream,
    jetStreamFailure: failure,
    refusedSubjects: failure === null ? await refusedSubjects(link, pipeline) : [],
  };
}

/** A server that listens everywhere names itself 0.0.0.0, and its addresses among the others. */
function hostAndPort(url: string): string {
  return url.replace(/^0\.0\.0\.0:/, "*:");
}

async function askJetStream(
  link: Link,
  manager: JetStreamManager,
  replicas: number,
  pipeline: string,
): Promise<{ jetStream: JetStreamFacts | null; failure: string | null }> {
  try {
    const account = await link.ask(() => manager.getAccountInfo());
    const pipelineBytes = await link.ask(() => bytesOf(manager, streamName(pipeline)));
    return { jetStream: { ...accountFacts(account, replicas), pipelineBytes }, failure: null };
  } catch (cause) {
    return { jetStream: null, failure: describeFault(cause) };
  }
}

/** An account may have limits of its own for each number of copies (tiers). */
function accountFacts(account: JetStreamAccountStats, replicas: number): Omit<JetStreamFacts, "pipelineBytes"> {
  const { storage, streams, limits } = account.tiers?.[`R${replicas}`] ?? account;
  return {
    storedBytes: storage,
    storageLimitBytes: limitOf(limits.max_storage),
    streamLimitBytes: limitOf(limits.storage_max_stream_bytes),
    streams,
    streamCountLimit: limitOf(limits.max_streams),
  };
}

async function bytesOf(manager: JetStreamManager, stream: string): Promise<number> {
  try {
    return (await manager.streams.info(stream)).state.bytes;
  } catch (cause) {
    if (cause instanceof JetStreamApiError && cause.code === STREAM_NOT_FOUND) return 0;
    throw cause;
  }
}

/**
 * Whether we may make, change, read and trim the pipeline's stream and publish into it, found out by asking for what JetStream refuses
 * or finds nothing to do for, whether there is a stream or not: bodies name another stream than subjects do, the subject that is
 * purged never carries a message, and the batch is published on condition that its stream has another name than it has. What is
 * not allowed is answered by the server, before JetStream sees it.
 */
async function refusedSubjects(link: Link, pipeline: string): Promise<string[]> {
  const stream = streamName(pipeline);
  const batch = streamSubjects(pipeline).replace(/>$/, "precheck");
  const other = "SLUICE_another_name";
  const asked: readonly (readonly [subject: string, body: object])[] = [
    [`$JS.API.STREAM.CREATE.${stream}`, { name: other }],
    [`$JS.API.STREAM.UPDATE.${stream}`, { name: other }],
    [`$JS.API.STREAM.INFO.${stream}`, {}],
    [`$JS.API.STREAM.PURGE.${stream}`, { filter: batch }],
    [`$JS.API.STREAM.MSG.GET.${stream}`, { seq: 0 }],
    [`$JS.API.CONSUMER.CREATE.${stream}.precheck`, { stream_name: other }],
    [batch, {}],
  ];
  const refused = await Promise.all(
    asked.map(async ([subject, body]) => ((await mayAsk(link, subject, body)) ? [] : [subject])),
  );
  return refused.flat();
}

async function mayAsk(link: Link, subject: string, body: object): Promise<boolean> {
  const condition = headers();
  condition.set("Nats-Expected-Stream", "SLUICE_another_name");
  try {
    await link.ask(() =>
      link.connection.request(subject, JSON.stringify(body), {
        timeout: ASK_TIMEOUT_MS,
        ...(subject.startsWith("$JS.") ? {} : { headers: condition }),
      }),
    );
    return true;
  } catch (cause) {
    // That nobody listens there is an answer, too.
    return !isRefused(cause);
  }
}

function isRefused(cause: unknown): boolean {
  if (cause instanceof PermissionViolationError) return true;
  return cause instanceof Error && cause.cause instanceof PermissionViolationError;
}

/** NATS writes -1, and for an account 0 too, where there is no limit. */
function limitOf(bytes: number): number | null {
  return bytes > 0 ? bytes : null;
}
