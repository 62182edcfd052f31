import { eachEndpoint } from "./check.ts";

export const credentials = eachEndpoint(
  "credentials",
  "Every server accepts the credentials",
  { source: "SRC-002", destination: "DST-002" },
  ({ address, failure }) =>
    failure?.kind === "credentials"
      ? { found: `${address}: ${failure.reason}`, expected: "a user that may connect and ask INFO" }
      : null,
);
