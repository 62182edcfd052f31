import { fail, pass, warn, type Look } from "../precheck.ts";
import type { ServerState } from "../probe/server-state.ts";
import { eachSourceServer } from "../server-check.ts";
import { FIRST_SOURCE, RDB_ABOVE_12 } from "../versions.ts";

/** A major release that did not exist when this was written. */
const UNKNOWN_REDIS = 90_000;
const FIELD_EXPIRY = ["HEXPIRE", "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT", "HSETEX", "HGETEX"];

export function judgeSourceVersion(state: Pick<ServerState, "version" | "isValkey" | "product" | "calls" | "text">): Look {
  const { version, isValkey, product, calls } = state;
  if (version === 0) return warn(`${product}: the server does not say its version`);
  if (version < FIRST_SOURCE) return fail(product);
  if (isValkey) {
    const used = FIELD_EXPIRY.filter((command) => calls.has(command));
    if (!/^(9|\d\d)\./.test(state.text("valkey_version")) || used.length === 0) return pass(product);
    return warn(`${product}, and clients use ${used.join(", ")}: Valkey 9 closes the link of a replica of Redis' format then`, {
      fix: "Remove the expiries of hash fields (HPERSIST) before the copy, or copy from a Valkey 8.",
    });
  }
  if (version >= UNKNOWN_REDIS) return warn(`${product} is newer than this release of Sluice`);
  if (version < RDB_ABOVE_12) return pass(product);
  return warn(`${product}: it may write RDB files of a version above 12, which this release refuses to read`);
}

export const sourceVersion = eachSourceServer(
  {
    id: "source-version",
    title: "The source's version is one that Sluice replicates from",
    why: "A copy in a format that Sluice does not know is refused (SRC-004) before anything is written.",
    expected: "Redis 2.8 to 8.0, or Valkey",
    fix: "Try it: a copy that can't be read is refused whole. Else take a release of Sluice that names this version, or copy from an older replica.",
    warns: "the version is newer than this release, is not told, or uses what only its own kind can read",
    fails: "it is older than 2.8 and knows no PSYNC",
    code: "SRC-012",
  },
  async (server) => judgeSourceVersion(await server.state()),
);
