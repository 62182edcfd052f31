import { expect, test } from "vitest";
import { trustFault } from "./trust-fault.ts";

const coded = (code: string, message = "said by OpenSSL"): Error => Object.assign(new Error(message), { code });

test.each([
  ["CERT_HAS_EXPIRED", "has expired"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "bears another name"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "signed its certificate itself"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "an authority that is not trusted here"],
  ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "refuses the client certificate, or asks for one"],
  ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "refuses the client certificate"],
  ["ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", "refuses the client certificate"],
  ["ERR_OSSL_X509_KEY_VALUES_MISMATCH", "can't be used"],
  ["ERR_OSSL_PEM_NO_START_LINE", "can't be used"],
])("%s is final", (code, why) => {
  expect(trustFault(coded(code))).toContain(why);
  expect(trustFault(new Error("lost", { cause: new Error("again", { cause: coded(code) }) }))).toContain(why);
});

test.each([
  "ECONNRESET",
  "ECONNREFUSED",
  "ETIMEDOUT",
  "EPIPE",
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR",
])("%s is not about trust", (code) => expect(trustFault(coded(code))).toBeNull());

test("what is no error, or its own cause, is nothing", () => {
  const circle = new Error("x");
  circle.cause = circle;
  for (const cause of [null, undefined, "CERT_HAS_EXPIRED", circle]) expect(trustFault(cause)).toBeNull();
});
