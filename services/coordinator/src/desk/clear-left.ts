import { recordFilter, recordKey, unreadRecord, writtenSpec } from "@sluice/wire";
import type { DeskDeps } from "./desk-deps.ts";

/** Asked for at a time: a large pipeline has some thousand records. */
const AT_A_TIME = 32;
/** Whoever has just let go of the pipeline may write its last word meanwhile. */
const PASSES = 4;

/**
 * Removes the stream and the records of a name that has no pipeline: what a deletion left that broke off, or a request to settle. `taken`: there
 * is a pipeline, and nothing was removed. A record goes only at the revision that it had while there was none, so that whoever creates one
 * meanwhile keeps what is its own. The stream goes first: while it is there, so are records that tell of it. JetStream removes one by its name
 * alone: so it is asked again right before that whether it is the one that was there, and whether there is no pipeline still; who slept
 * in between removes nothing. `signal`: nothing more is removed once it is aborted. Throws `Retryable` BUS-001.
 */
export async function clearLeft(
  name: string,
  deps: Pick<DeskDeps, "records" | "streamOf">,
  signal?: AbortSignal,
): Promise<Cleared> {
  let cleared: Cleared = "nothing";
  for (let pass = 0; pass < PASSES && signal?.aborted !== true; pass++) {
    const { outcome, isAll } = await clearOnce(name, deps, signal);
    if (outcome === "taken") return outcome;
    if (outcome === "cleared") cleared = outcome;
    if (isAll) break;
  }
  return cleared;
}

type Cleared = "taken" | "cleared" | "nothing";

async function clearOnce(
  name: string,
  { records, streamOf }: Pick<DeskDeps, "records" | "streamOf">,
  signal: AbortSignal | undefined,
): Promise<{ outcome: Cleared; isAll: boolean }> {
  const isTaken = async (): Promise<boolean> => (await records.get(recordKey.spec(name), writtenSpec)) !== null;
  const left = await revisionsOf(name, records);
  const stream = streamOf(name);
  const found = await stream.identity();
  if (await isTaken()) return { outcome: "taken", isAll: true };
  if (found !== null) {
    const isSame = (await stream.identity()) === found;
    if (await isTaken()) return { outcome: "taken", isAll: true };
    if (!isSame || signal?.aborted === true) return { outcome: "nothing", isAll: false };
    await stream.remove();
  }
  let isAll = true;
  for (const [key, revision] of left) {
    if (signal?.aborted === true) return { outcome: "cleared", isAll: false };
    isAll = (await removeAt(key, revision, records)) && isAll;
  }
  return { outcome: found !== null || left.size > 0 ? "cleared" : "nothing", isAll };
}

async function revisionsOf(name: string, records: DeskDeps["records"]): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  const keys = await records.keys(recordFilter.ofPipeline(name));
  for (let at = 0; at < keys.length; at += AT_A_TIME) {
    const asked = keys.slice(at, at + AT_A_TIME).map(async (key) => {
      const record = await records.get(key, unreadRecord);
      if (record !== null) found.set(key, record.revision);
    });
    await Promise.all(asked);
  }
  return found;
}

/** False where it was written meanwhile: it may be another's. */
async function removeAt(key: string, revision: number, records: DeskDeps["records"]): Promise<boolean> {
  try {
    await records.removeIf(key, revision);
    return true;
  } catch (cause) {
    const now = await records.get(key, unreadRecord);
    if (now?.revision === revision) throw cause;
    return now === null;
  }
}
