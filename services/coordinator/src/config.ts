import { Halt } from "@sluice/runtime";
import { DEFAULT_API_LISTEN } from "@sluice/wire";

/** Where the API listens. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const HOST_AND_PORT = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/;
const LOOPBACK = /^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1|localhost)$/;

/**
 * Reads `SLUICE_API_LISTEN` (host:port; port 0 takes a free one). Throws `Halt` SLU-002: also for any address that is not this
 * machine's own, as the API asks nobody who he is yet.
 */
export function readListenAddress(environment: NodeJS.ProcessEnv): ListenAddress {
  const text = environment["SLUICE_API_LISTEN"] ?? DEFAULT_API_LISTEN;
  const fields = HOST_AND_PORT.exec(text);
  const host = fields?.[1] ?? fields?.[2];
  const port = Number(fields?.[3]);
  if (host === undefined || port > 65_535) {
    throw new Halt("SLU-002", `SLUICE_API_LISTEN is ${JSON.stringify(text)}; expected host:port such as ${DEFAULT_API_LISTEN}`);
  }
  if (!LOOPBACK.test(host)) {
    throw new Halt(
      "SLU-002",
      `SLUICE_API_LISTEN is ${JSON.stringify(text)}; this release listens on this machine only: 127.0.0.1, ::1 or localhost`,
    );
  }
  return { host, port };
}
