import { allowanceOf, type Allowance, type AskedCommand } from "../allowed-commands.ts";
import { fail, pass, warn, type Look } from "../precheck.ts";
import { eachDestinationServer } from "../server-check.ts";

const NEEDED: readonly AskedCommand[] = [
  ["EVALSHA", "1", "0"],
  ["EVAL", "1", "0"],
  ["SCRIPT", "LOAD", "1"],
];

function judgeScripting({ isTold, refused }: Allowance, isCluster: boolean): Look {
  const what = isCluster ? "every write to a cluster goes by a script" : "settling expiries at the cut-over goes by a script";
  if (!isTold) return warn("it does not tell whether this user may run scripts");
  if (refused.size === 0) return pass("EVAL, EVALSHA and SCRIPT LOAD are allowed");
  const text = `${what}, and the server says: ${[...new Set(refused.values())].join("; ")}`;
  return isCluster ? fail(text) : warn(text, { code: "DST-002" });
}

export const destinationScripts = eachDestinationServer(
  {
    id: "destination-scripts",
    title: "Scripts may be run in every destination",
    why: "In a cluster a script writes a slot's changes and its mark in one step; without it nothing is applied exactly once.",
    expected: "a user with +eval +evalsha +script|load",
    fix: "`ACL SETUSER <user> +eval +evalsha +script` on every node. A proxy that forbids scripts has to be passed by: name a node of the cluster itself.",
    warns: "a standalone destination forbids scripts, or a server does not tell",
    fails: "a cluster forbids them",
    code: "DST-002",
  },
  async (server, destination) =>
    judgeScripting(await allowanceOf(server, NEEDED, { mayQueue: true }), await destination.isCluster()),
);
