import { metricCatalogue, type MetricDefinition, type MetricLabels, type MetricName } from "./metric-catalogue.ts";

/** The content type of `MetricPage.text`. */
export const METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** The values of one reading, written as Prometheus reads them (text exposition format 0.0.4). */
export class MetricPage {
  readonly #values = new Map<MetricName, Map<string, number>>();

  /** Sets a value; null and what is no finite number is left out. The last one of the same labels counts. */
  set<N extends MetricName>(name: N, labels: MetricLabels<N>, value: number | null): void {
    if (value === null || !Number.isFinite(value)) return;
    const values = this.#values.get(name) ?? new Map<string, number>();
    this.#values.set(name, values);
    values.set(labelText(name, labels), value);
  }

  text(): string {
    const lines: string[] = [];
    for (const name of Object.keys(metricCatalogue) as MetricName[]) {
      const values = this.#values.get(name);
      if (values === undefined) continue;
      const { help, type } = metricCatalogue[name];
      lines.push(`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`);
      for (const [labels, value] of values) lines.push(`${name}${labels} ${value}`);
    }
    return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
  }
}

/** In the order of the catalogue, so that equal labels are equal text. */
function labelText(name: MetricName, labels: Readonly<Record<string, string>>): string {
  const { labels: declared }: MetricDefinition = metricCatalogue[name];
  const pairs = declared.map((label) => `${label}="${escapeLabel(labels[label] ?? "")}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
