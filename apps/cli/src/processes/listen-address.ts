import { createServer } from "node:net";
import { OperatorError } from "../operator-error.ts";

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Reads `host:port` or `[v6]:port`. Throws `OperatorError` (usage). */
export function parseListen(text: string, option: string): ListenAddress {
  const fields = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):(\d{1,5})$/.exec(text);
  const port = Number(fields?.[2]);
  if (fields === null || port > 65_535)
    throw new OperatorError(`${option} is ${JSON.stringify(text)}; expected host:port`, "", 2);
  return { host: (fields[1] as string).replace(/^\[|\]$/g, ""), port };
}

export function formatListen({ host, port }: ListenAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Below the range from which Linux takes the ports of outgoing connections (32768 up): such a port can be taken again after a restart. */
const FIRST_PORT = 14_000;
const LAST_PORT = 32_000;
const ATTEMPTS = 100;

/**
 * The address with a port that is free right now: its own, or a random one where it is 0. Null when its own is taken; other
 * errors (no such address, no permission) are thrown as `OperatorError`.
 */
export async function freeAddress({ host, port }: ListenAddress): Promise<ListenAddress | null> {
  if (port !== 0) return (await canListen(host, port)) ? { host, port } : null;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const candidate = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
    if (await canListen(host, candidate)) return { host, port: candidate };
  }
  throw new OperatorError(`no free port on ${host} from ${FIRST_PORT} to ${LAST_PORT}`);
}

function canListen(host: string, port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      if (cause.code === "EADDRINUSE") resolve(false);
      else
        reject(
          new OperatorError(`${formatListen({ host, port })} can't be listened on: ${cause.code ?? cause.message}`, "", 1, {
            cause,
          }),
        );
    });
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
