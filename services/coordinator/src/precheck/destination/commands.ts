import { neededText, originOf, replacementOf } from "@sluice/redis";
import { allowanceOf } from "../allowed-commands.ts";
import { fail, pass, warn, type Look } from "../precheck.ts";
import { commandRows } from "../probe/command-rows.ts";
import { callsText, listText } from "../quantity.ts";
import { eachDestinationServer } from "../server-check.ts";
import { callOf, ESSENTIAL, ownCommands, streamCommands } from "./needed-commands.ts";

export interface CommandFacts {
  /** Commands that the user may not run, by name in capitals, and what the server says; null: it does not tell. */
  readonly refused: ReadonlyMap<string, string> | null;
  /** Writes that Sluice knows and this server does not. */
  readonly missing: readonly string[];
  /** Calls of commands at the source. */
  readonly calls: ReadonlyMap<string, number>;
}

export function judgeCommands({ refused, missing, calls }: CommandFacts): Look {
  const gone = missing.filter((name) => ESSENTIAL.has(name));
  if (gone.length > 0) return fail(`the server has no ${listText(gone)}: renamed, disabled, or too old`);
  const has = (name: string): boolean => !missing.includes(name);
  const lost = missing.filter((name) => replacementOf(name, has) !== "whole");
  const used = lost.flatMap((name): [string, number][] =>
    calls.has(name) ? [[neededText(name, originOf(name)), calls.get(name) ?? 0]] : [],
  );
  const lacks = used.length === 0 ? "" : `it has no ${callsText(used)}, which clients of the source have called so often`;
  if (refused === null) {
    return warn(`it does not tell what this user may do${lacks === "" ? "" : `, and ${lacks}`}`, {
      fix: "Let the user run ACL WHOAMI and ACL DRYRUN, or see by hand that it has the permissions of `sluice explain DST-002`.",
    });
  }
  const first = [...refused.values()][0];
  if (first !== undefined) return fail(`not allowed: ${listText([...refused.keys()])}. The server says: ${first}`);
  if (used.length > 0) {
    return warn(lacks, {
      fix: "Upgrade the destination, or stop the clients that use them: where nothing else leaves the same, the first one halts its lane (DST-026). `onDivergence: repair` takes the keys of some from the source; `unsupported: skip` leaves out what the destination can't hold.",
    });
  }
  const replaced = missing.filter((name) => !lost.includes(name) && calls.has(name));
  const unused = lost.length === 0 ? "" : `; it lacks ${listText(lost)}, which nobody has used`;
  const others =
    replaced.length === 0 ? "" : `; for ${listText(replaced)}, which it lacks, others are written that leave the same`;
  return pass(`all are allowed${others}${unused}`);
}

export const destinationCommands = eachDestinationServer(
  {
    id: "destination-commands",
    title: "The user may run every command that is written with",
    why: "A command that is refused halts its lane exactly there.",
    expected: "a user with all write commands on all keys, and what writers need besides",
    fix: "`ACL SETUSER <user> ~* &* +@read +@write +@transaction +@scripting +publish +spublish +ping +info +select +asking +time +cluster` on every node of the destination; docs/security.md has it by subcommand.",
    warns: "the server does not tell, or it lacks commands that clients of the source have used",
    fails: "a command that is needed is forbidden, renamed or disabled",
    code: "DST-002",
  },
  async (server, destination, { source }) => {
    const own = ownCommands(await destination.isCluster());
    const names = [...new Set([...streamCommands(), ...ESSENTIAL])];
    const rows = await commandRows(server, names);
    const asked = [...own, ...streamCommands().flatMap((name) => (rows.has(name) ? [callOf(rows.get(name)!)] : []))];
    const { isTold, refused } = await allowanceOf(server, asked, { mayQueue: true });
    return judgeCommands({
      refused: isTold ? new Map([...refused].map(([[name], text]) => [name, text])) : null,
      missing: streamCommands().filter((name) => !rows.has(name)),
      calls: await source.calls(),
    });
  },
);
