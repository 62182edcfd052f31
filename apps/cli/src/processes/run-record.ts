import { randomBytes } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** What a `sluice run` says of itself in `run.json`, for other commands and for scripts. */
export interface RunRecord {
  readonly pid: number;
  /** `host:port` of the API. */
  readonly api: string;
  /** URL of the nats-server. */
  readonly nats: string;
  /** Instance name to process id, of those that are running. */
  readonly processes: Readonly<Record<string, number>>;
}

export function runRecordPath(dataDirectory: string): string {
  return join(dataDirectory, "run.json");
}

/** The record of the run in a data directory; null when there is none that can be read. */
export async function readRunRecord(dataDirectory: string): Promise<RunRecord | null> {
  let record: unknown;
  try {
    record = JSON.parse(await readFile(runRecordPath(dataDirectory), "utf8"));
  } catch {
    return null;
  }
  return isRunRecord(record) ? record : null;
}

/** Replaces the record at once: a reader sees the old one or the new one. */
export async function writeRunRecord(dataDirectory: string, record: RunRecord): Promise<void> {
  const path = runRecordPath(dataDirectory);
  const temporary = `${path}.${randomBytes(4).toString("hex")}`;
  await writeFile(temporary, `${JSON.stringify(record)}\n`, { mode: 0o600 });
  await rename(temporary, path);
}

function isRunRecord(value: unknown): value is RunRecord {
  if (typeof value !== "object" || value === null) return false;
  const { pid, api, nats, processes } = value as Partial<Record<keyof RunRecord, unknown>>;
  if (typeof pid !== "number" || typeof api !== "string" || typeof nats !== "string") return false;
  if (typeof processes !== "object" || processes === null) return false;
  return Object.values(processes).every((process) => typeof process === "number");
}
