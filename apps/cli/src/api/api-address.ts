import { DEFAULT_API_LISTEN } from "@sluice/wire";
import { readRunRecord } from "../processes/run-record.ts";

/** Where a command looks for the API: what the operator said, or the environment, or the `sluice run` of this directory. */
export async function apiAddress(
  option: string | undefined,
  dataDirectory: string,
  environment: NodeJS.ProcessEnv,
): Promise<string> {
  const said = option ?? environment["SLUICE_API"];
  if (said !== undefined && said !== "") return said;
  return (await readRunRecord(dataDirectory))?.api ?? DEFAULT_API_LISTEN;
}
