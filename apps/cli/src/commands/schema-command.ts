import { pipelineJsonSchema } from "@sluice/wire";

/** `sluice schema`: the JSON Schema of pipeline files on standard output, for editors and other programs. */
export function printSchema(): void {
  process.stdout.write(`${JSON.stringify(pipelineJsonSchema(), null, 2)}\n`);
}
