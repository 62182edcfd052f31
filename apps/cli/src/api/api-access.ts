import { readFileSync } from "node:fs";
import { OperatorError } from "../operator-error.ts";
import { apiToken } from "./api-token.ts";

/** What the API is reached with, beside its address. */
export interface ApiAccess {
  /** What the API asks for; null where it asks for nothing. */
  token(): string | null;
  /** Authority of its certificate, PEM; null for those that Node knows. */
  ca(): string | null;
}

/** Files that the command line names; else the environment says it. */
export interface AccessOptions {
  readonly tokenFile?: string;
  readonly apiCa?: string;
}

/** Nothing is read before it is needed. Both throw `OperatorError` (usage) for a file that can't be read. */
export function apiAccess({ tokenFile, apiCa }: AccessOptions, environment: NodeJS.ProcessEnv): ApiAccess {
  const ca = apiCa ?? environment["SLUICE_API_CA"];
  return {
    token: () => (tokenFile === undefined ? apiToken(environment) : read(tokenFile, "--token-file").trim()),
    ca: () => (ca === undefined || ca === "" ? null : read(ca, apiCa === undefined ? "SLUICE_API_CA" : "--api-ca")),
  };
}

function read(path: string, said: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new OperatorError(`${said} names ${JSON.stringify(path)}, which can't be read: ${code}`, "", 2, { cause });
  }
}
