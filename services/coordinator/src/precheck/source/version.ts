import { fail, pass, warn, type Look } from "../precheck.ts";
import type { ServerState } from "../probe/server-state.ts";
import { eachSourceServer } from "../server-check.ts";
import { FIRST_SOURCE, LATER_RDB_SINCE } from "../versions.ts";

/** A major release that did not exist when this was written. */
const UNKNOWN_REDIS = 90_000;
/** The last one whose RDB is read here; Sluice says so, and a later one then writes what that one reads, if it can. */
const LAST_VALKEY = 9;

export function judgeSourceVersion(state: Pick<ServerState, "version" | "isValkey" | "product" | "text">): Look {
  const { version, isValkey, product } = state;
  if (version === 0) return warn(`${product}: the server does not say its version`);
  if (version < FIRST_SOURCE) return fail(product);
  if (isValkey) return judgeValkey({ product, text: (name) => state.text(name) });
  if (version >= UNKNOWN_REDIS) return warn(`${product} is newer than this release of Sluice`);
  if (version < LATER_RDB_SINCE) return pass(product);
  return warn(`${product}: it may write RDB files of a version above 13, which this release refuses to read`);
}

function judgeValkey({ product, text }: Pick<ServerState, "product" | "text">): Look {
  const major = Number.parseInt(text("valkey_version"), 10);
  return major > LAST_VALKEY ? warn(`${product} is newer than this release of Sluice`) : pass(product);
}

export const sourceVersion = eachSourceServer(
  {
    id: "source-version",
    title: "The source's version is one that Sluice replicates from",
    why: "A copy in a format that Sluice does not know is refused (SRC-004) before anything is written.",
    expected: "Redis 2.8 to 8.0, or Valkey",
    fix: "Try it: a copy that can't be read is refused whole. Else take a release of Sluice that names this version, or copy from an older replica.",
    warns: "the version is newer than this release, or is not told",
    fails: "it is older than 2.8 and knows no PSYNC",
    code: "SRC-012",
  },
  async (server) => judgeSourceVersion(await server.state()),
);
