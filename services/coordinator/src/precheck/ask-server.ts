import type { Endpoint } from "@sluice/redis";
import { describeFault } from "@sluice/runtime";
import type { Redis } from "ioredis";
import { controlClient } from "../endpoint/control-client.ts";
import type { EndpointFailure } from "./facts.ts";

/** What a server answered, or why it did not. */
export interface Asked<T> {
  readonly failure: EndpointFailure | null;
  readonly answer: T | null;
}

/** Connects to one server, asks it, and disconnects. Never rejects for what the server does. */
export async function askServer<T>(endpoint: Endpoint, ask: (client: Redis) => Promise<T>): Promise<Asked<T>> {
  const { user, password, ...open } = endpoint;
  const client = controlClient(open, { isLasting: false });
  let lastError: unknown;
  client.on("error", (error) => (lastError = error));
  try {
    await client.connect();
    if (password !== undefined) await (user === undefined ? client.auth(password) : client.auth(user, password));
    return { failure: null, answer: await ask(client) };
  } catch (cause) {
    return { failure: failureOf(lastError ?? cause), answer: null };
  } finally {
    client.disconnect();
  }
}

/** Error replies begin with a word in capitals (Redis protocol, "Simple errors"); these are about who we are. */
const REFUSED = /^(NOAUTH|WRONGPASS|NOPERM|ERR (invalid password|Client sent AUTH|AUTH|operation not permitted))/i;

function failureOf(cause: unknown): EndpointFailure {
  const reason = describeFault(cause);
  if (REFUSED.test(reason)) return { kind: "credentials", reason };
  return { kind: cause instanceof Error && cause.name === "ReplyError" ? "no-answer" : "unreachable", reason };
}
