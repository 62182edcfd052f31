import { generateKeyPairSync, randomBytes, sign, type KeyObject } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { isIPv4 } from "node:net";
import { join } from "node:path";
import { der } from "./der.ts";

const DAY_MS = 86_400_000;
const ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";
const COMMON_NAME = "2.5.4.3";
const BASIC_CONSTRAINTS = "2.5.29.19";
const KEY_USAGE = "2.5.29.15";
const EXTENDED_KEY_USAGE = "2.5.29.37";
const ALTERNATIVE_NAMES = "2.5.29.17";
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
/** digitalSignature; keyCertSign and cRLSign: bits counted from the left (RFC 5280, section 4.2.1.3). */
const SIGNS = der.bits(Buffer.from([0x80]), 7);
const SIGNS_CERTIFICATES = der.bits(Buffer.from([0x06]), 1);

/** A certificate and its key, PEM. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
}

/** Where a certificate, its key and the authority that signed it were written. */
export interface IdentityFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface IdentityOptions {
  /** Names and IPv4 addresses that it bears. Default: localhost and 127.0.0.1. */
  readonly names?: readonly string[];
  /** It was valid until yesterday. */
  readonly isExpired?: boolean;
}

/** A certificate authority that is made on the spot, for tests of TLS: X.509 v3 (RFC 5280) on the curve P-256. */
export class Authority {
  /** Its own certificate, PEM. */
  readonly cert: string;
  readonly #name: string;
  readonly #key: KeyObject;

  constructor(name = "test authority") {
    const { publicKey, privateKey } = keyPair();
    this.#name = name;
    this.#key = privateKey;
    const isAuthority = extension(BASIC_CONSTRAINTS, der.sequence(der.boolean(true)), true);
    this.cert = this.#sign(name, publicKey, Date.now() + DAY_MS, [isAuthority, extension(KEY_USAGE, SIGNS_CERTIFICATES, true)]);
  }

  /** A certificate for a server or a client. */
  issue({ names = ["localhost", "127.0.0.1"], isExpired = false }: IdentityOptions = {}): Identity {
    const { publicKey, privateKey } = keyPair();
    const cert = this.#sign(names[0] ?? "nobody", publicKey, Date.now() + (isExpired ? -DAY_MS : DAY_MS), [
      extension(KEY_USAGE, SIGNS, true),
      extension(EXTENDED_KEY_USAGE, der.sequence(der.identifier(SERVER_AUTH), der.identifier(CLIENT_AUTH))),
      extension(ALTERNATIVE_NAMES, der.sequence(...names.map(alternativeName))),
    ]);
    return { cert, key: String(privateKey.export({ type: "pkcs8", format: "pem" })) };
  }

  /** Issues a certificate and writes it into `folder`, with its key and the authority's own. */
  async write(folder: string, name: string, options: IdentityOptions = {}): Promise<IdentityFiles> {
    const { cert, key } = this.issue(options);
    const files = {
      ca: join(folder, `${name}-ca.pem`),
      cert: join(folder, `${name}.pem`),
      key: join(folder, `${name}-key.pem`),
    };
    await Promise.all([
      writeFile(files.ca, this.cert),
      writeFile(files.cert, cert),
      writeFile(files.key, key, { mode: 0o600 }),
    ]);
    return files;
  }

  #sign(subject: string, publicKey: KeyObject, untilMs: number, extensions: readonly Buffer[]): string {
    const algorithm = der.sequence(der.identifier(ECDSA_WITH_SHA256));
    // The top bit is not set, so that it is positive; the next one is, so that it has no leading zero byte.
    const serial = randomBytes(8);
    serial[0] = ((serial[0] as number) & 0x7f) | 0x40;
    const signed = der.sequence(
      der.explicit(0, der.integer(Buffer.from([2]))),
      der.integer(serial),
      algorithm,
      distinguishedName(this.#name),
      der.sequence(der.time(untilMs - 30 * DAY_MS), der.time(untilMs)),
      distinguishedName(subject),
      publicKey.export({ type: "spki", format: "der" }),
      der.explicit(3, der.sequence(...extensions)),
    );
    return pem(der.sequence(signed, algorithm, der.bits(sign("sha256", signed, this.#key))));
  }
}

function keyPair(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

function extension(identifier: string, value: Buffer, isCritical = false): Buffer {
  return der.sequence(der.identifier(identifier), ...(isCritical ? [der.boolean(true)] : []), der.octets(value));
}

function distinguishedName(name: string): Buffer {
  return der.sequence(der.set(der.sequence(der.identifier(COMMON_NAME), der.text(name))));
}

function alternativeName(name: string): Buffer {
  return isIPv4(name) ? der.implicit(7, Buffer.from(name.split(".").map(Number))) : der.implicit(2, Buffer.from(name, "ascii"));
}

function pem(bytes: Buffer): string {
  return `-----BEGIN CERTIFICATE-----\n${bytes.toString("base64").replace(/.{64}/g, "$&\n").trimEnd()}\n-----END CERTIFICATE-----\n`;
}
