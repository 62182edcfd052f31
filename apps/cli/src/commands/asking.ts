import { apiAccess, type AccessOptions } from "../api/api-access.ts";
import { apiAddress } from "../api/api-address.ts";
import { ApiClient } from "../api/api-client.ts";
import { Screen } from "../view/screen.ts";

/** Where to ask and how to answer, for the commands that only ask. */
export interface ApiOptions extends AccessOptions {
  readonly api?: string;
  readonly data: string;
  /** For programs: one object, or one a line where it goes on. */
  readonly json?: boolean;
}

/** Looks for the address at every request: a run that has been started meanwhile is found. */
export function clientOf({ api, data, ...access }: ApiOptions): ApiClient {
  return new ApiClient(async () => apiAddress(api, data, process.env), apiAccess(access, process.env));
}

/** Writes what a program gets, or what a person reads. */
export function answer({ json = false }: ApiOptions, content: unknown, text: string): void {
  process.stdout.write(json ? `${JSON.stringify(content)}\n` : `${text}\n`);
}

/** The screen of a person; a program is shown nothing on the way. */
export function screenFor({ json = false }: ApiOptions): Screen {
  return new Screen(json ? { write: () => true } : process.stdout);
}

/** Tells a person how to go on, aside from what is shown. */
export function hint({ json = false }: ApiOptions, text: string): void {
  if (!json) process.stderr.write(`${text}\n`);
}
