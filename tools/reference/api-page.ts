import { apiRoutes, type ApiRoute } from "@sluice/wire";
import { markdownTable } from "./markdown-table.ts";

const TITLES: Readonly<Record<ApiRoute["tag"], string>> = {
  pipelines: "Pipelines",
  prechecks: "Prechecks",
  events: "Events",
  reference: "Reference",
  health: "Health",
};

/** `docs/reference/api.md` */
export function apiPage(): string {
  const routes = Object.values<ApiRoute>(apiRoutes);
  const sections = Object.entries(TITLES).map(([tag, title]) => {
    const rows = routes
      .filter((route) => route.tag === tag)
      .map(({ method, path, summary, answers, query }) => [
        `\`${method} ${path}\``,
        Object.keys(query?.shape ?? {})
          .map((name) => `\`${name}\``)
          .join(" "),
        Object.keys(answers).join(", "),
        summary,
      ]);
    return `## ${title}\n\n${markdownTable(["request", "query", "answers", "what it does"], rows)}\n`;
  });
  return `${HEAD}\n${sections.join("\n")}`;
}

const HEAD = `# The HTTP API

<!-- Written by tools/generate-reference.ts from libs/wire/src/api-routes.ts; do not edit. -->

Every field is described in the OpenAPI document, \`GET /api/v1/openapi.json\`.

The active coordinator answers at \`SLUICE_API_LISTEN\` (\`127.0.0.1:7380\`); one that stands by answers 503 with SLU-003. On loopback
nobody is asked for a token unless \`SLUICE_API_TOKEN\` (or \`SLUICE_API_TOKEN_FILE\`) is set; any other address needs one. \`SLUICE_API_CERT\` and
\`SLUICE_API_KEY\` make it HTTPS. Pages of other sites are refused (API-003), and there is no CORS.

Bodies and answers are JSON. Whatever is refused is answered with \`{ "error": { "code", "message", "remedy" } }\`; what a code means is at
\`/api/v1/codes/{code}\`. Passwords go in and never come out.

A pipeline from its creation to its end, with nothing but curl:

\`\`\`sh
api=http://127.0.0.1:7380/api/v1
json='content-type: application/json'

# Does it fit? Nothing is created, and nothing is changed on any server.
curl -s -H "$json" -d @orders.json $api/prechecks

# Created and not started; then checked, then started.
curl -s -H "$json" -d "{\\"pipeline\\": $(cat orders.json), \\"start\\": false}" $api/pipelines
curl -s -X POST $api/pipelines/orders/precheck
curl -s -X POST $api/pipelines/orders/start

# Follow it: states and events as they come, from event 12 on.
curl -sN -H 'accept: text/event-stream' -H 'last-event-id: 12' $api/pipelines/orders/events

# Other credentials, everything else as it was; first only asked what that would mean.
curl -s -X PATCH -H "$json" -d '{"source": {"password": "new"}}' "$api/pipelines/orders?dryRun"

curl -s -X POST $api/pipelines/orders/stop
curl -s -X DELETE $api/pipelines/orders
\`\`\`

With a token: \`-H "authorization: Bearer $SLUICE_API_TOKEN"\`.
`;
