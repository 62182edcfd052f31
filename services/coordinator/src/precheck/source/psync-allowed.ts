import { allowanceOf, type Allowance, type AskedCommand } from "../allowed-commands.ts";
import { fail, pass, warn, type Look } from "../precheck.ts";
import { eachSourceServer } from "../server-check.ts";

const NEEDED: readonly AskedCommand[] = [
  ["PSYNC", "?", "-1"],
  ["REPLCONF", "listening-port", "0"],
];

export function judgePsync(name: string, { isTold, refused }: Allowance): Look {
  if (!isTold) return warn(`${name} does not tell whether this user may run PSYNC and REPLCONF`);
  if (refused.size === 0) return pass("PSYNC and REPLCONF are allowed");
  return fail([...new Set([`${name}:`, ...refused.values()])].join(" "));
}

export const sourcePsyncAllowed = eachSourceServer(
  {
    id: "source-psync-allowed",
    title: "Sluice may replicate from every server of the source",
    why: "Without PSYNC there is neither a copy nor a stream of changes.",
    expected: "a user with +psync +replconf, and a server that does not hide these commands",
    fix: "`ACL SETUSER <user> +psync +replconf` on every node. A managed service that forbids PSYNC has to allow it first (most have a switch for migration).",
    warns: "the server does not tell: the user may not run ACL DRYRUN (Redis 7 and newer)",
    fails: "PSYNC or REPLCONF is forbidden, renamed or disabled",
    code: "SRC-002",
    ifUnknown: "fail",
  },
  async (server) => judgePsync(server.name, await allowanceOf(server, NEEDED, { mayQueue: false })),
);
