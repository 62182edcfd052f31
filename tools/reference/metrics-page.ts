import { metricCatalogue, type MetricDefinition } from "@sluice/runtime";
import { markdownTable } from "./markdown-table.ts";

const SECTIONS: readonly { readonly of: MetricDefinition["of"]; readonly title: string; readonly about: string }[] = [
  {
    of: "coordinator",
    title: "Pipelines",
    about:
      "At `/metrics` of the coordinator's API. Only the active coordinator knows pipelines; scrape all of them, and the one that takes over goes on.",
  },
  {
    of: "process",
    title: "Every process",
    about: "At `/metrics` of the coordinator's API and of every service that has `SLUICE_METRICS_LISTEN`.",
  },
  { of: "ingest and writer", title: "Ingest and writer", about: "What went over the connection to NATS." },
  { of: "writer", title: "Writer", about: "What the lanes of one writer process did, together." },
];

/** `docs/reference/metrics.md` */
export function metricsPage(): string {
  const sections = SECTIONS.map(({ of, title, about }) => {
    const rows = Object.entries<MetricDefinition>(metricCatalogue)
      .filter(([, metric]) => metric.of === of)
      .map(([name, { type, labels, help }]) => [`\`${name}\``, type, labels.map((label) => `\`${label}\``).join(" "), help]);
    return `## ${title}\n\n${about}\n\n${markdownTable(["metric", "type", "labels", "meaning"], rows)}\n`;
  });
  return `${HEAD}\n${sections.join("\n")}`;
}

const HEAD = `# Metrics

<!-- Written by tools/generate-reference.ts from libs/runtime/src/metrics/metric-catalogue.ts; do not edit. -->

Prometheus reads \`GET /metrics\` of the coordinator (with the API's token, where it has one) and of every service that was given
\`SLUICE_METRICS_LISTEN=host:port\`, where \`/livez\` and \`/readyz\` are, too. That second address shows figures and names of pipelines,
takes no orders and asks nobody who he is: keep it inside your network.

\`\`\`yaml
scrape_configs:
  - job_name: sluice-coordinator
    authorization: { credentials_file: /etc/prometheus/sluice-token }
    static_configs: [{ targets: ["coordinator-1:7380", "coordinator-2:7380"] }]
  - job_name: sluice
    static_configs: [{ targets: ["ingest-1:7381", "writer-1:7381", "router-1:7381"] }]
rule_files: [alerts.yaml]
\`\`\`

Alert rules are in [deploy/prometheus/alerts.yaml](../../deploy/prometheus/alerts.yaml), a dashboard for Grafana in
[deploy/grafana/sluice.json](../../deploy/grafana/sluice.json). Counters begin anew when the instance that counts is another one; \`rate()\` and
\`increase()\` bear that. A figure that nobody knows is absent, never 0.
`;
