import { readFile } from "node:fs/promises";
import { dirname, relative, resolve } from "node:path";
import { build as buildProgram, type Plugin } from "esbuild";
import type { Mutant } from "./mutants.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const SOCKETS = "libs/redis/src/connection/open-socket.ts";
/** Slots of a simulated cluster: opening a lane reads the marks of all of its slots. */
const SLOTS = 64;

/**
 * Writes the program that runs worlds, with the services of Sluice as they are: their sources, with three things changed at the
 * edge. Connections lead to simulated servers, a cluster has 64 slots, and where `mutant` is given, its fault is in. Returns the
 * program's path.
 */
export async function bundleWorlds(mutant: Mutant | null): Promise<string> {
  const outfile = resolve(ROOT, "dist/simulate", `${mutant?.name ?? "sluice"}.mjs`);
  const changed = new Set<string>();
  await buildProgram({
    entryPoints: [resolve(import.meta.dirname, "worker.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["@sluice/source"],
    sourcemap: "inline",
    logLevel: "silent",
    plugins: [registryStaysOutside, worldOf(mutant, changed)],
  });
  for (const { file } of mutant?.changes ?? []) {
    if (!changed.has(file)) throw new Error(`mutant ${mutant?.name}: ${file} is no part of the program`);
  }
  return outfile;
}

/** Packages from the registry are loaded, not bundled. */
const registryStaysOutside: Plugin = {
  name: "registry stays outside",
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, ({ path }) => (path.startsWith("@sluice/") ? null : { path, external: true }));
  },
};

function worldOf(mutant: Mutant | null, changed: Set<string>): Plugin {
  return {
    name: "world",
    setup(build) {
      build.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        const file = relative(ROOT, path);
        if (file === SOCKETS) return { contents: SIMULATED_SOCKETS, loader: "ts", resolveDir: dirname(path) };
        let contents = withFewSlots(await readFile(path, "utf8"));
        for (const change of mutant?.changes ?? []) {
          if (change.file !== file) continue;
          contents = replaceOnce(contents, change.find, change.replace, `mutant ${mutant?.name}: ${file}`);
          changed.add(file);
        }
        return { contents, loader: "ts" };
      });
    },
  };
}

const SIMULATED_SOCKETS = `export { openSimulatedSocket as openSocket } from ${JSON.stringify(
  resolve(import.meta.dirname, "world/simulated-socket.ts"),
)};`;

function withFewSlots(source: string): string {
  return source.replaceAll(/\b16_?384\b/g, String(SLOTS)).replaceAll(/\b16_?383\b/g, String(SLOTS - 1));
}

function replaceOnce(source: string, find: string, replacement: string, where: string): string {
  const at = source.indexOf(find);
  if (at < 0) throw new Error(`${where} does not hold what is to be changed: ${find}`);
  if (source.indexOf(find, at + 1) >= 0) throw new Error(`${where} holds more than once what is to be changed: ${find}`);
  return source.slice(0, at) + replacement + source.slice(at + find.length);
}
