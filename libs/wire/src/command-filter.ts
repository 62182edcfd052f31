import { z } from "zod";
import { closestName } from "./closest-name.ts";
import { carriedCommands, otherCommands, subcommandsOf } from "./command-names.generated.ts";

/** Most names in a list, and letters in one of them. */
const MAX_NAMES = 200;
const MAX_NAME_LENGTH = 64;

/** `DEL`, `XGROUP CREATE`, `MYMODULE.SET` */
const FORM = /^[!-~]+( +[!-~]+)?$/;
const carried: ReadonlySet<string> = new Set(carriedCommands);
const others: ReadonlySet<string> = new Set(otherCommands);
const modules: ReadonlySet<string> = new Set(carriedCommands.filter((name) => name.includes(".")).map(moduleOf));

/** A name of a command as filters have it: in capitals, its subcommand behind one blank. Throws nothing: what is no such name is an issue. */
const commandSchema = z
  .string()
  .min(1)
  .max(MAX_NAME_LENGTH)
  .transform((text, context) => {
    const name = text.trim().toUpperCase().replace(/ +/, " ");
    const fault = FORM.test(name)
      ? faultOf(name)
      : "expected the name of a command, such as DEL, or of a subcommand, such as XGROUP CREATE";
    if (fault !== null) context.addIssue({ code: "custom", message: fault, input: text });
    return name;
  });

export const commandsSchema = z
  .strictObject({
    exclude: z
      .array(commandSchema)
      .max(MAX_NAMES)
      .default([])
      .describe(
        "names of commands that the group does not get, in any letter case: `FLUSHALL`, `DEL`; of a container all subcommands, `FUNCTION`, or one, `XGROUP CREATE`. By the names under which changes are replicated: EXPIRE comes as PEXPIREAT, a key that expires as DEL or UNLINK",
      ),
  })
  .prefault({})
  .describe(
    "which changes do not go to this destination. A full copy is by values, not by commands: what the group was spared is made good by the next one",
  );

/** What is wrong with a name; null: nothing. A module's command that nobody here has heard of may well be one of the source's. */
function faultOf(said: string): string | null {
  const [name = "", subcommand] = said.split(" ");
  if (others.has(name)) return `${name} is never replicated: there is nothing to leave out`;
  if (!carried.has(name)) {
    if (name.includes(".") && !modules.has(moduleOf(name))) return null;
    const meant = closestName(name, carriedCommands);
    return `there is no command ${JSON.stringify(name)} that changes anything${meant === null ? "" : `; did you mean ${meant}?`}`;
  }
  if (subcommand === undefined) return null;
  const known = subcommandsOf[name]?.split(" ");
  if (known === undefined) return `${name} has no subcommands: expected ${name} alone`;
  if (known.includes(subcommand)) return null;
  const meant = closestName(subcommand, known);
  return `${name} has no subcommand ${JSON.stringify(subcommand)}; ${meant === null ? `expected one of ${known.join(", ")}` : `did you mean ${name} ${meant}?`}`;
}

/** `JSON.` of `JSON.SET` */
function moduleOf(name: string): string {
  return name.slice(0, name.indexOf(".") + 1);
}
