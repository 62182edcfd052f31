/** The kinds of keys. A key's name begins with its kind, so a command never meets a value of another type. */
export const keyKinds = ["string", "number", "float", "bitmap", "hash", "list", "set", "zset", "geo", "stream", "hll"] as const;
export type KeyKind = (typeof keyKinds)[number];

/**
 * The name of key number `index` of a kind: the same for the same arguments, different for different ones. One name in eight is
 * an odd one: spaces, braces that are and are not a hash tag, line breaks, non-ASCII text, bytes that are not UTF-8.
 *
 * @param tag prefixes the hash tag `{t<tag>}`, so that keys with the same tag lie in one cluster slot; see `slotTag`
 */
export function keyName(kind: KeyKind, index: number, tag?: number): string | Buffer {
  const prefix = tag === undefined ? kind : `{t${tag}}${kind}`;
  switch (index % 48) {
    case 5:
      return `${prefix} ${index} with spaces `;
    case 11:
      return `${prefix}:{tag ${index}}:x`;
    case 17:
      return `${prefix}:{}${index}}{`;
    case 23:
      return `${prefix}:\r\n${index}\t"quoted"`;
    case 29:
      return `${prefix}:ключ-鍵-🔑:${index}`;
    case 35:
      return Buffer.concat([Buffer.from(`${prefix}:${index}:`), Buffer.from([0, 255, 254, 13, 10, 0x80, 0xc3])]);
    default:
      return `${prefix}:${index}`;
  }
}
