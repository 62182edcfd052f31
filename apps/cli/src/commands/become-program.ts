/**
 * Turns this process into another program of Sluice: its main module is loaded here, so that signals, the process id and the
 * exit code are its own. `main`: URL of the module; `args`: what it finds in `process.argv`.
 */
export async function becomeProgram(main: string, args: readonly string[]): Promise<void> {
  process.argv = [process.execPath, main, ...args];
  await import(main);
}
