import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { Halt } from "./fault.ts";

/** What a file of a TLS setting holds, in PEM: authorities that are trusted, a client certificate (its chain may follow), or its key. */
export type CertificateFile = "ca" | "cert" | "key";

const HELD: Readonly<Record<CertificateFile, string>> = {
  ca: "certificates to trust",
  cert: "a client certificate",
  key: "the key of a client certificate",
};
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
/** The authorities of the whole world take 250 KB. */
const MAX_BYTES = 2 ** 20;

/**
 * Text of a file of certificates, looked at before it is used: OpenSSL passes over what it can't read in a list of authorities, and says of nothing
 * which file it was. Throws `Halt` PIP-014 that names the file and what is wrong with it.
 */
export function readCertificateFile(path: string, kind: CertificateFile): string {
  const refused = (why: string, cause?: unknown): Halt =>
    new Halt("PIP-014", `${path}, where ${HELD[kind]} should be, ${why}`, cause === undefined ? {} : { cause });
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw refused(`can't be read: ${(cause as NodeJS.ErrnoException).code ?? String(cause)}`);
  }
  const fault = text.length > MAX_BYTES ? "holds more than 1 MiB" : faultOfPem(text, kind);
  if (fault !== null) throw refused(fault);
  return text;
}

/** What is wrong with PEM text; null when it holds what it should. */
function faultOfPem(text: string, kind: CertificateFile): string | null {
  if (kind === "key") return faultOfKey(text);
  const found = text.match(CERTIFICATE);
  if (found === null) {
    return text.includes("PRIVATE KEY") ? "holds a private key and no certificate" : "holds no certificate in PEM";
  }
  for (const [index, pem] of found.entries()) {
    try {
      void new X509Certificate(pem);
    } catch (cause) {
      return `holds a certificate (number ${index + 1}) that can't be read: ${(cause as Error).message}`;
    }
  }
  return null;
}

function faultOfKey(text: string): string | null {
  if (!text.includes("PRIVATE KEY-----")) {
    return text.includes("CERTIFICATE-----") ? "holds a certificate and no private key" : "holds no private key in PEM";
  }
  if (/ENCRYPTED/.test(text)) return "holds a key with a passphrase, and nobody is there to give it: expected one without";
  try {
    createPrivateKey(text);
    return null;
  } catch (cause) {
    return `holds a key that can't be read: ${(cause as Error).message}`;
  }
}
