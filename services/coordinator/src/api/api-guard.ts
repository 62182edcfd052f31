import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { isLoopback } from "../config.ts";
import { Refusal } from "../desk/refusal.ts";

/**
 * Who may ask the API. With a token: whoever names it. Without one the API listens on this machine only, and everybody here may;
 * but not a page that a browser here has loaded from elsewhere: such a page can send requests to any address, under a name of its
 * own that leads here (then `Host` is that name) or openly (then `Origin` is another host than the one asked).
 */
export class ApiGuard {
  readonly #token: Buffer | null;

  constructor(token: string | null) {
    this.#token = token === null ? null : digest(token);
  }

  /** Throws `Refusal` 401 API-002, 403 API-003. */
  check(headers: IncomingHttpHeaders): void {
    const { host = "", origin, authorization } = headers;
    if (origin !== undefined && hostOf(origin) !== host.toLowerCase()) {
      throw new Refusal(403, "API-003", "the request comes from a page of another site");
    }
    if (this.#token === null) {
      if (!isLoopback(hostname(host))) {
        throw new Refusal(403, "API-003", "the API has no token and was asked under another name than this machine's");
      }
      return;
    }
    const named = /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
    if (named === undefined) throw new Refusal(401, "API-002", "the request names no token");
    // Digests have one length, whatever was sent.
    if (!timingSafeEqual(digest(named), this.#token)) throw new Refusal(401, "API-002", "the request names another token");
  }
}

function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

/** `host:port` of an origin; the text itself where it is none, such as `null`. */
function hostOf(origin: string): string {
  return URL.canParse(origin) ? new URL(origin).host : origin;
}

function hostname(host: string): string {
  const fields = /^(?:\[([^\]]*)\]|([^:]*))(?::\d+)?$/.exec(host);
  return (fields?.[1] ?? fields?.[2] ?? "").toLowerCase();
}
