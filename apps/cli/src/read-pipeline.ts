import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { parsePipelineFile, PipelineFileError, type Secret } from "@sluice/wire";
import { parse } from "yaml";
import { OperatorError } from "./operator-error.ts";

/** A pipeline file as the API takes it. */
export interface WrittenPipeline {
  readonly name: string;
  /** What stands in the file, secrets and paths of files resolved; defaults are filled in where it is kept. */
  readonly written: unknown;
}

/** An endpoint as it stands in a checked pipeline file. */
interface WrittenEndpoint {
  password?: Secret;
  tls?: { ca?: string; cert?: string; key?: string };
  sentinel?: { password?: Secret };
}

/**
 * Reads a pipeline file. `{ env }` and `{ file }` secrets are read here, by the operator's own process; relative paths start
 * at the folder of the pipeline file. Throws `OperatorError` with every fault and its line.
 */
export async function readPipeline(path: string, environment: NodeJS.ProcessEnv): Promise<WrittenPipeline> {
  const text = await readText(path, "the pipeline file");
  let name: string;
  try {
    name = parsePipelineFile(text, path).name;
  } catch (cause) {
    if (!(cause instanceof PipelineFileError)) throw cause;
    throw new OperatorError(cause.message, "", 1, { cause });
  }
  const written = parse(text) as { source: WrittenEndpoint; destinations: WrittenEndpoint[] };
  for (const endpoint of [written.source, ...written.destinations]) await resolveEndpoint(endpoint, dirname(path), environment);
  return { name, written };
}

async function resolveEndpoint(endpoint: WrittenEndpoint, folder: string, environment: NodeJS.ProcessEnv): Promise<void> {
  if (endpoint.password !== undefined) endpoint.password = await resolveSecret(endpoint.password, folder, environment);
  const { sentinel, tls } = endpoint;
  if (sentinel?.password !== undefined) sentinel.password = await resolveSecret(sentinel.password, folder, environment);
  if (tls === undefined) return;
  for (const field of ["ca", "cert", "key"] as const) {
    if (tls[field] !== undefined) tls[field] = resolve(folder, tls[field]);
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
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new OperatorError(
      `${path}: ${what} can't be read: ${(cause as NodeJS.ErrnoException).code ?? String(cause)}`,
      "",
      1,
      { cause },
    );
  }
}
