import { ConnectionLost, ReplyError } from "@sluice/redis";
import { expect, test } from "vitest";
import { destinationFault } from "./standalone-destination.ts";

const lost = (code: string): ConnectionLost =>
  new ConnectionLost({ host: "h", port: 1 }, "cannot be opened", Object.assign(new Error("said by OpenSSL"), { code }));

// Mutation: standalone-destination.ts, `destinationFault` does not ask `trustFault`: a certificate that has expired is waited for, for ever.
test.each([
  ["a certificate that is not trusted", lost("CERT_HAS_EXPIRED"), "Halt", "DST-020"],
  ["an address where nobody listens", lost("ECONNREFUSED"), "Retryable", "DST-001"],
  ["a server that can't for now", new ReplyError("LOADING Redis is loading the dataset in memory"), "Retryable", "DST-003"],
  ["a server that refuses", new ReplyError("NOPERM this user has no permissions"), "Halt", "DST-002"],
  ["what nobody knows", new Error("broken"), "Retryable", "SLU-001"],
])("%s has a fault of its own", (_, cause, name, code) => {
  expect(destinationFault("main", cause)).toMatchObject({ name, code });
});
