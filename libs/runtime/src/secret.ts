import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { Halt } from "./fault.ts";

const PREFIX = "sealed:1:";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Seals a secret for a record: AES-256-GCM with a random nonce. `key`: 32 bytes. */
export function sealSecret(secret: string, key: Buffer): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  const sealed = Buffer.concat([nonce, cipher.update(secret, "utf8"), cipher.final(), cipher.getAuthTag()]);
  return PREFIX + sealed.toString("base64");
}

/** Opens what `sealSecret` made. Throws `Halt` SLU-002 when the key is missing or another one, or the text was changed. */
export function openSecret(sealed: string, key: Buffer | null): string {
  if (!sealed.startsWith(PREFIX)) throw new Halt("SLU-002", "a secret in a record is not sealed");
  if (key === null) throw new Halt("SLU-002", "SLUICE_SECRET_KEY is not set, and a record holds a sealed secret");
  const bytes = Buffer.from(sealed.slice(PREFIX.length), "base64");
  if (bytes.length < NONCE_BYTES + TAG_BYTES) throw new Halt("SLU-002", "a sealed secret in a record is cut short");
  const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
  try {
    const opened = [decipher.update(bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES)), decipher.final()];
    return Buffer.concat(opened).toString("utf8");
  } catch (cause) {
    throw new Halt("SLU-002", "SLUICE_SECRET_KEY is not the key that sealed the secrets of this pipeline", { cause });
  }
}
