import type { CodeMeaning } from "./codes.ts";

/** Codes of requests to the API, see `codes`. */
export const apiCodes = {
  "API-001": {
    meaning: "The API has no such path, or can't read the request.",
    remedy: "Send what the message expects.",
  },
  "API-002": {
    meaning: "The request names no token, or another than the API's.",
    remedy:
      "Send `Authorization: Bearer <token>` with what `SLUICE_API_TOKEN` (or the file in `SLUICE_API_TOKEN_FILE`) holds at the coordinator; `sluice` reads the same variables.",
  },
  "API-003": {
    meaning:
      "The request came from a web page of another site, or under another name than this machine's to an API without a token.",
    remedy: "Ask the API at 127.0.0.1 or localhost, or give it a token with `SLUICE_API_TOKEN`.",
  },
  "API-004": {
    meaning: "As many clients follow events as the API serves at a time.",
    remedy: "Close one of them, or ask for the events without `Accept: text/event-stream` now and then.",
  },
} as const satisfies Record<string, CodeMeaning>;
