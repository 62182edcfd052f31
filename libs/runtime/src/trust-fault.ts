/** Codes of a server's certificate that is refused (Node, "X509 certificate error codes"), with what an operator can look for. */
const REFUSED_HERE: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "its certificate, or one above it, has expired",
  CERT_NOT_YET_VALID: "its certificate, or one above it, is not valid yet: compare the clocks",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate bears another name",
  HOSTNAME_MISMATCH: "its certificate bears another name",
  DEPTH_ZERO_SELF_SIGNED_CERT: "it signed its certificate itself, and `ca` does not hold that",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate was signed by an authority that is not trusted here",
  UNABLE_TO_GET_ISSUER_CERT: "its certificate was signed by an authority that is not trusted here",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate was signed by an authority that is not trusted here",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate was signed by an authority that is not trusted here",
  CERT_SIGNATURE_FAILURE: "its certificate was not signed by the authority that it names",
  CERT_REVOKED: "its certificate is revoked",
  CERT_REJECTED: "its certificate is not for this purpose",
  CERT_UNTRUSTED: "its certificate is not for this purpose",
  INVALID_CA: "an authority above its certificate is none",
  INVALID_PURPOSE: "its certificate is not for servers",
  PATH_LENGTH_EXCEEDED: "the chain of its certificate is longer than an authority in it allows",
  CERT_CHAIN_TOO_LONG: "the chain of its certificate is too long",
};

/** Alerts with which a server refuses the client's certificate, or that there is none (RFC 8446, section 6.2), as OpenSSL names them. */
const REFUSED_THERE =
  /^ERR_SSL_(?:SSLV3|TLSV1|TLSV13)_ALERT_(?:CERTIFICATE_(?:REQUIRED|EXPIRED|REVOKED|UNKNOWN)|(?:BAD|UNSUPPORTED|NO)_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|DECRYPT_ERROR|HANDSHAKE_FAILURE)$/;

/** Certificates and keys in PEM that OpenSSL can't use. */
const UNUSABLE = /^ERR_OSSL_|^ERR_CRYPTO_|^ERR_SSL_(?:EE|CA|PEM)_|KEY_VALUES_MISMATCH/;

/** How far causes of causes are followed. */
const DEPTH = 6;

/**
 * Why the two sides of a TLS link do not trust each other, which no other try can change; null where `cause` is something else.
 * Looks through the causes of an error, too.
 */
export function trustFault(cause: unknown): string | null {
  let error = cause;
  for (let depth = 0; depth < DEPTH && error instanceof Error; depth++) {
    const { code } = error as NodeJS.ErrnoException;
    const found = typeof code === "string" ? faultOfCode(code, error.message) : null;
    if (found !== null) return found;
    error = error.cause;
  }
  return null;
}

function faultOfCode(code: string, message: string): string | null {
  const refused = Object.hasOwn(REFUSED_HERE, code) ? REFUSED_HERE[code] : undefined;
  if (refused !== undefined) return `${refused} (${message.slice(0, 200)})`;
  if (REFUSED_THERE.test(code)) return `it refuses the client certificate, or asks for one (${code})`;
  if (UNUSABLE.test(code)) return `the certificates given for it can't be used (${message.slice(0, 200)})`;
  return null;
}
