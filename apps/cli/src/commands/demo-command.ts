import { OperatorError } from "../operator-error.ts";
import { becomeProgram } from "./become-program.ts";

/** `sluice demo`: this process becomes the demo. It needs test servers and workloads, which are part of the source tree only. */
export async function runDemo(args: readonly string[]): Promise<void> {
  const name = "@sluice/demo/main";
  let main: string;
  try {
    main = import.meta.resolve(name);
  } catch (cause) {
    throw new OperatorError("the demo is not part of this installation", "Run it from a clone of the sources: make demo.", 1, {
      cause,
    });
  }
  await becomeProgram(main, args);
}
