import { open, type FileHandle } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { credentialsIn, PipelineFileError, readPipelineFile, type ReadPipelineFile, type Secret } from "@sluice/wire";
import { OperatorError } from "./operator-error.ts";

/** A pipeline file as the API takes it. */
export interface WrittenPipeline {
  readonly name: string;
  /** What stands in the file, secrets and paths of files resolved; defaults are filled in where it is kept. */
  readonly written: unknown;
}

/** Where a checked pipeline file names other files. */
interface WrittenEndpoint {
  password?: Secret;
  tls?: { ca?: string; cert?: string; key?: string };
}

/** The largest file that is read at all is a little larger than the largest that is taken, for it to be told. */
const MAX_READ_BYTES = 2 ** 20 + 1;

/**
 * Reads a pipeline file, and the variables `SLUICE_PIPELINE_…` that stand for fields of it. `{ env }` and `{ file }` secrets are read here, by the
 * operator's own process; relative paths start at the folder of the pipeline file. Throws `OperatorError` with every fault and its line.
 */
export async function readPipeline(path: string, environment: NodeJS.ProcessEnv): Promise<WrittenPipeline> {
  const text = await readText(path, "the pipeline file");
  const { pipeline, written } = readChecked(text, path, environment);
  const { source, destinations } = written as { source: WrittenEndpoint; destinations: WrittenEndpoint[] };
  for (const { credentials } of credentialsIn({ source, destinations })) {
    if (credentials.password === undefined) continue;
    credentials.password = await resolveSecret(credentials.password, dirname(path), environment);
  }
  for (const { tls } of [source, ...destinations]) {
    if (tls === undefined) continue;
    for (const field of ["ca", "cert", "key"] as const) {
      if (tls[field] !== undefined) tls[field] = resolve(dirname(path), tls[field]);
    }
  }
  return { name: pipeline.name, written };
}

function readChecked(text: string, path: string, environment: NodeJS.ProcessEnv): ReadPipelineFile {
  try {
    return readPipelineFile(text, path, environment);
  } catch (cause) {
    if (!(cause instanceof PipelineFileError)) throw cause;
    throw new OperatorError(cause.message, "", 1, { cause });
  }
}

async function resolveSecret(secret: Secret, folder: string, environment: NodeJS.ProcessEnv): Promise<string> {
  if (typeof secret === "string") return secret;
  if ("file" in secret) return (await readText(resolve(folder, secret.file), "the file of a password")).replace(/\r?\n$/, "");
  const value = environment[secret.env];
  if (value === undefined) {
    throw new OperatorError(
      `the environment variable ${secret.env}, which a password is to be read from, is not set`,
      `Set ${secret.env} and run it again.`,
    );
  }
  return value;
}

async function readText(path: string, what: string): Promise<string> {
  try {
    const file = await open(path, "r");
    try {
      const { buffer, bytesRead } = await readUpTo(file);
      return buffer.toString("utf8", 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw new OperatorError(
      `${path}: ${what} can't be read: ${(cause as NodeJS.ErrnoException).code ?? String(cause)}`,
      "",
      1,
      { cause },
    );
  }
}

/** A pipe gives what it has, so it is read until its end; a device has none. */
async function readUpTo(file: FileHandle): Promise<{ buffer: Buffer; bytesRead: number }> {
  const buffer = Buffer.alloc(MAX_READ_BYTES);
  let bytesRead = 0;
  while (bytesRead < buffer.length) {
    const { bytesRead: more } = await file.read(buffer, bytesRead, buffer.length - bytesRead);
    if (more === 0) break;
    bytesRead += more;
  }
  return { buffer, bytesRead };
}
