import type { CodeMeaning } from "./codes.ts";

/** Codes of the bus, see `codes`. */
export const busCodes = {
  "BUS-001": {
    meaning: "NATS can't be reached, or JetStream does not answer.",
    remedy: "Nothing, if it comes back: Sluice resumes by itself. Otherwise check the nats-server and its disk.",
  },
  "BUS-002": {
    meaning: "A lane holds a batch of another writer, so that this process no longer owns it.",
    remedy: "Nothing: the process that owns the lane goes on.",
  },
  "BUS-003": {
    meaning:
      "Something is missing in a lane (a batch, a part of a copy, or what a mark names), so that it can't go on from there.",
    remedy:
      "Nothing, if the pipeline goes on: Sluice copies the source shard anew. If it happens again, check the disk of the nats-server; a stream that was made by hand must be deleted.",
  },
  "BUS-004": {
    meaning: "A message in a lane is damaged, or of another release.",
    remedy:
      "Run one release of Sluice on a stream. If the message is damaged, check the disk and start the pipeline anew with `existing: replace`.",
  },
  "BUS-005": {
    meaning: "The stream is full or JetStream has no room left.",
    remedy: "Give JetStream more storage, or bring the slowest destination back; Sluice goes on by itself.",
  },
  "BUS-006": {
    meaning: "The stream was full before a full copy was complete. What is stored of a copy stays until the copy is applied.",
    remedy:
      "Raise `limits.streamBytes` in the pipeline file, or the account's storage, and start the pipeline again with it: it goes on by itself as soon as there is room.",
  },
  "BUS-007": {
    meaning: "NATS can't keep as many copies of a stream as SLUICE_STREAM_REPLICAS asks for.",
    remedy: "Give the NATS cluster that many servers with JetStream, or set SLUICE_STREAM_REPLICAS lower for every service.",
  },
  "BUS-008": {
    meaning: "The NATS user lacks permissions that Sluice needs for its streams.",
    remedy:
      "Let it publish to `$JS.API.>`, `$KV.sluice.>` and `sluice.>`, and subscribe to `_INBOX.>`; the check names what was refused.",
  },
  "BUS-009": {
    meaning: "NATS takes messages that are too small for the batches of a pipeline.",
    remedy: "Set `max_payload` of every nats-server to 1MB or more.",
  },
  "BUS-010": {
    meaning:
      "NATS was away for as long as `retryWindow` says (of the bus), by the coordinator's clock. Nothing of the pipeline runs.",
    remedy: "See to NATS, then `sluice resume NAME`: it says first whether it continues or has to copy anew.",
  },
  "BUS-011": {
    meaning:
      "NATS and Sluice do not trust each other's certificates, or one of them asks for TLS and the other does not know it.",
    remedy:
      "Name the server as tls://host:port. SLUICE_NATS_CA names a file with the authority that signed its certificate, SLUICE_NATS_SERVER_NAME the name that it bears where it is not the host, SLUICE_NATS_CERT and SLUICE_NATS_KEY what the server asks of its clients. Then start the service again.",
  },
  "BUS-012": {
    meaning: "NATS refuses the credentials of this service.",
    remedy:
      "Set one of SLUICE_NATS_CREDS, SLUICE_NATS_NKEY, SLUICE_NATS_TOKEN, or SLUICE_NATS_USER with SLUICE_NATS_PASSWORD to what the nats-server knows, and start the service again.",
  },
} as const satisfies Record<string, CodeMeaning>;
