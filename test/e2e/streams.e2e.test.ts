import {
  diffCanonical,
  fixtureVersions,
  laterVersions,
  loadExpected,
  loadRecording,
  NatsServer,
  readCanonical,
  RecordedPrimary,
  RedisServer,
  type ExpectedName,
  type FixtureVersion,
  type NotCarried,
  type RecordingName,
} from "@sluice/testkit";
import { DrainWatch } from "@sluice/cli";
import { expiryWithGrace, OWN_KEY_PREFIX, type PipelineStatus } from "@sluice/wire";
import { expect, test } from "vitest";
import { Services } from "./deployment.ts";

const versions = [...fixtureVersions, ...laterVersions];
/** The types of values that Redis 7.0 has: no vector sets. */
const HELD: ReadonlySet<string> = new Set(["string", "list", "set", "hash", "zset", "stream"]);
/** States that nothing follows by itself. */
const ENDED: ReadonlySet<string> = new Set(["failed", "blocked"]);
/** Links that are brought up at a time: each is a source, a server and a pipeline. */
const AT_A_TIME = 4;

interface Played {
  readonly version: FixtureVersion;
  readonly recording: RecordingName;
  readonly chunkSizes?: readonly number[];
  /** The copy and what follows it come over a link each. */
  readonly sendsRdbAlone?: boolean;
}

/** What a recording's source says of itself: major and minor as a number, 7.2 as 702, and whether it is a Valkey. */
function kindOf(version: FixtureVersion): { readonly redis: number; readonly valkey: number } {
  const [major = 0, minor = 0] = version.replace("valkey-", "").split(".").map(Number);
  const number = major * 100 + minor;
  return version.startsWith("valkey-") ? { redis: 0, valkey: number } : { redis: number, valkey: 0 };
}

/** Whether such a source can send an RDB alone. */
function isOfTwoLinks(version: FixtureVersion): boolean {
  const { redis, valkey } = kindOf(version);
  return valkey > 0 || redis >= 602;
}

/**
 * What a destination of 7.0 may hold otherwise than the source, by the nature of streams and of that server:
 * - times at which consumers were seen are in no stream;
 * - how much a group has read is not in streams before 7.4 and Valkey 8.1, and unknown to servers before 7.0;
 * - XCLAIM in 7.0 forgets what is pending of entries that are deleted, XCLAIM before 7.0 does not.
 */
function notCarried(version: FixtureVersion): NotCarried[] {
  const { redis, valkey } = kindOf(version);
  const ignored: NotCarried[] = ["seenTime", "activeTime"];
  if (valkey === 0 && redis < 704) ignored.push("entriesRead");
  if (valkey === 0 && redis < 700) ignored.push("deletedPending");
  return ignored;
}

/** Expiries in streams before 7.0 are relative: they count from when the stream is received, now and not when it was recorded. */
function mayBeLaterByMs({ version, recording }: Played): number {
  const { redis, valkey } = kindOf(version);
  return valkey > 0 || redis >= 700 ? 0 : Date.now() - loadRecording(version, recording).recordedAt.startMs;
}

async function differencesOf(played: Played, destination: RedisServer, graceMs: number): Promise<unknown[]> {
  const { version, recording } = played;
  const whole = loadExpected(version, recording.replace("replication", "expected-after") as ExpectedName);
  // Expiries of fields, of 7.4 and later, are compared nowhere.
  const expected = { ...whole, keys: whole.keys.filter(({ type }) => HELD.has(type)) };
  const content = await readCanonical(destination.client());
  const isOwn = (key: string): boolean => Buffer.from(key, "base64").toString("latin1").startsWith(OWN_KEY_PREFIX);
  return diffCanonical(
    expected,
    { ...content, keys: content.keys.filter(({ key }) => !isOwn(key)) },
    {
      ignore: notCarried(version),
      expiryOf: (expireAtMs) => expiryWithGrace(expireAtMs, graceMs),
      expiryMayBeLaterByMs: mayBeLaterByMs(played),
    },
  );
}

/** What a service's log says of a pipeline, and of leases and the bus. */
function saidOf(name: string, output: string): string[] {
  const isOf = new RegExp(String.raw`\b${name}\b|lease lost|BUS-0`);
  return output.split("\n").filter((line) => isOf.test(line));
}

/** Brings up a link of its own for each recording, through one deployment, and tells where a destination ends otherwise. */
async function play(recordings: readonly Played[]): Promise<Record<string, unknown[]>> {
  // Open until the services are gone: a pipeline goes on looking for its source, and would find another one where that gave its port back.
  const opened: AsyncDisposable[] = [];
  await using _opened = {
    [Symbol.asyncDispose]: async () => void (await Promise.all(opened.map(async (one) => one[Symbol.asyncDispose]()))),
  };
  const kept = <T extends AsyncDisposable>(one: T): T => {
    opened.push(one);
    return one;
  };
  await using nats = await NatsServer.start();
  await using services = await Services.start(nats.url, { ingests: 1, writers: 1 });
  const found: Record<string, unknown[]> = {};
  const one = async (played: Played, index: number): Promise<void> => {
    const primary = kept(await RecordedPrimary.start(played));
    const destination = kept(await RedisServer.start());
    const name = `p${index}`;
    await services.status.create({
      name,
      source: { url: primary.url },
      destinations: [{ url: destination.url, unsupported: "skip" }],
      limits: { concurrentFullSyncs: 64 },
    });
    const watch = new DrainWatch();
    const isOver = (status: PipelineStatus): boolean => watch.see(status) || ENDED.has(status.state);
    const { state, reason, expiryGraceMs } = await services.status.until(name, "drained or failed", isOver);
    const differences = ENDED.has(state) ? [reason] : await differencesOf(played, destination, expiryGraceMs);
    if (primary.fullSyncs !== 1 || primary.partialSyncs !== (played.sendsRdbAlone === true ? 1 : 0))
      differences.push(`asked to replicate ${primary.psyncs.join(", ")}`, saidOf(name, services.outputOf("ingest-1")));
    if (differences.length > 0) found[`${played.version} ${played.recording}`] = differences;
  };
  const waiting = [...recordings.entries()];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await one(next[1], next[0]);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  return found;
}

// Mutations: copy-links.ts, what follows asked for from S and not behind it (sources from 6.2 on: another full copy); failing-script.ts, `isFailingScript` false (scripts of 2.8 to 4.0 halt); replica-link.ts, no version said (Valkey 9 sends nothing).
test("every recorded link of 13 servers, RDB as a file and diskless, ends in a destination of 7.0 as it ended at its source", async () => {
  const recordings = versions.flatMap((version): Played[] => [
    { version, recording: "replication" },
    { version, recording: "replication-diskless", sendsRdbAlone: isOfTwoLinks(version) },
    { version, recording: "replication-flushall", sendsRdbAlone: isOfTwoLinks(version) },
  ]);
  const found = await play([
    ...recordings,
    { version: "valkey-9.1.2", recording: "replication-noversion" },
    // In pieces of any size: single bytes, and 1 to 64 bytes.
    { version: "7.0.15", recording: "replication", chunkSizes: [1] },
    { version: "5.0.14", recording: "replication-diskless", chunkSizes: Array.from({ length: 64 }, (_, index) => index + 1) },
  ]);
  expect(found).toEqual({});
}, 240_000);
