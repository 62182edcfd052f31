import { OWN_KEY_PREFIX } from "@sluice/wire";

const OWN_PREFIX = Buffer.from(OWN_KEY_PREFIX);

/** Whether a key of a destination is one of Sluice's own. */
export function isOwn(key: Buffer): boolean {
  return key.length >= OWN_PREFIX.length && key.compare(OWN_PREFIX, 0, OWN_PREFIX.length, 0, OWN_PREFIX.length) === 0;
}
