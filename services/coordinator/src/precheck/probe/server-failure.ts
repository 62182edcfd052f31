import { ReplyError } from "@sluice/redis";
import { describeFault, printable, trustFault } from "@sluice/runtime";

/** Why nothing at all can be asked of a server. */
export class ServerFailure extends Error {
  override readonly name = "ServerFailure";
  /** `untrusted`: the certificates of the two sides. */
  readonly kind: "unreachable" | "credentials" | "untrusted";

  /** Of which the server is one: `source`, `destination main`. */
  readonly deployment: string;

  /** `server`: `host:port`. */
  constructor(deployment: string, server: string, cause: unknown) {
    const untrusted = trustFault(cause);
    const reason = untrusted === null ? describeFault(cause) : printable(untrusted);
    super(reason.includes(server) ? reason : `${server}: ${reason}`);
    this.deployment = deployment;
    this.kind = untrusted !== null ? "untrusted" : isAboutCredentials(cause) ? "credentials" : "unreachable";
  }
}

/** Error replies begin with a word in capitals (Redis protocol, "Simple errors"); these are about who we are. */
const REFUSED = /^(NOAUTH|WRONGPASS|NOPERM|ERR (invalid password|Client sent AUTH|AUTH|operation not permitted))/i;

/** A server's refusal of a user, of a password, or of one command to this user. */
export function isAboutCredentials(cause: unknown): boolean {
  const error = cause instanceof Error && cause.cause instanceof ReplyError ? cause.cause : cause;
  return error instanceof ReplyError && REFUSED.test(error.message);
}
