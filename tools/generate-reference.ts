import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { referencePages } from "./reference/pages.ts";

/** Writes the generated pages of docs/reference: `npm run reference`. */
for (const [name, page] of Object.entries(referencePages)) {
  const target = fileURLToPath(new URL(`../docs/reference/${name}`, import.meta.url));
  await writeFile(target, page());
  console.log(`written: ${target}`);
}
