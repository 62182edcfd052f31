import { codes, openSecret, sealSecret } from "@sluice/runtime";
import type { WrittenSpec } from "@sluice/wire";
import { Refusal } from "./refusal.ts";

type Written = WrittenSpec["pipeline"];
interface SecretHolder {
  password?: Written["source"]["password"];
}

/** Everything in a pipeline that may hold a password. */
function holdersOf(pipeline: Written): SecretHolder[] {
  return [pipeline.source, ...pipeline.destinations].flatMap((endpoint): SecretHolder[] => [
    endpoint,
    ...Object.values(endpoint.nodes ?? {}),
    ...("sentinel" in endpoint && endpoint.sentinel !== undefined ? [endpoint.sentinel] : []),
  ]);
}

/** The pipeline as it goes into its record. Throws `Refusal` SLU-002 when there is a secret and no key. */
export function sealed(written: Written, key: Buffer | null): Written {
  return withSecrets(written, key, sealSecret);
}

/** The pipeline of a record with its secrets in plain text. Throws as `sealed`, and `Halt` SLU-002 where the key is another. */
export function unsealed(written: Written, key: Buffer | null): Written {
  return withSecrets(written, key, openSecret);
}

function withSecrets(written: Written, key: Buffer | null, turn: (text: string, key: Buffer) => string): Written {
  const copy = structuredClone(written);
  for (const holder of holdersOf(copy)) {
    if (typeof holder.password !== "string") continue;
    if (key === null) {
      const message = "the pipeline holds a password, and the coordinator has no key to seal it with";
      throw new Refusal(422, "SLU-002", message, `Set SLUICE_SECRET_KEY for every service. ${codes["SLU-002"].remedy}`);
    }
    holder.password = turn(holder.password, key);
  }
  return copy;
}
