import { readFileSync } from "node:fs";
import { OperatorError } from "../operator-error.ts";

/**
 * What the API is to be told: `SLUICE_API_TOKEN`, or what the file in `SLUICE_API_TOKEN_FILE` holds, as the coordinator reads them; null
 * where neither is set. Throws `OperatorError` (usage) when the file can't be read.
 */
export function apiToken(environment: NodeJS.ProcessEnv): string | null {
  const plain = environment["SLUICE_API_TOKEN"];
  const path = environment["SLUICE_API_TOKEN_FILE"];
  if (path === undefined) return plain === undefined || plain === "" ? null : plain;
  try {
    return readFileSync(path, "utf8").trim();
  } catch (cause) {
    throw new OperatorError(
      `SLUICE_API_TOKEN_FILE names ${JSON.stringify(path)}, which can't be read`,
      "Name the file that holds the API's token.",
      2,
      { cause },
    );
  }
}
