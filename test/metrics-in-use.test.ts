import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { metricCatalogue, type MetricDefinition } from "@sluice/runtime";
import { describe, expect, test } from "vitest";
import { metricsPage } from "../tools/reference/metrics-page.ts";

const root = resolve(import.meta.dirname, "..");
const read = (path: string): string => readFileSync(resolve(root, path), "utf8");

test("every metric stands in exactly one table of its page", () => {
  for (const name of Object.keys(metricCatalogue)) expect(metricsPage().split(`| \`${name}\` `)).toHaveLength(2);
});

/** Metrics in an expression of PromQL, each with the labels that it is chosen by. */
function metricsIn(expression: string): { name: string; labels: string[] }[] {
  return [...expression.matchAll(/\b(sluice_\w+)(?:\{([^}]*)\})?/g)].map(([, name, matchers = ""]) => ({
    name: name as string,
    labels: [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label]) => label as string),
  }));
}

function faultsOf(expression: string): string[] {
  const catalogue: Readonly<Record<string, MetricDefinition>> = metricCatalogue;
  const used = metricsIn(expression);
  const known = new Set(["instance", "job", ...used.flatMap(({ name }) => catalogue[name]?.labels ?? [])]);
  const grouped = [...expression.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list]) => (list as string).split(/,\s*/));
  return [
    ...(used.length === 0 ? ["names no metric"] : []),
    ...used.filter(({ name }) => catalogue[name] === undefined).map(({ name }) => `${name} is not in the catalogue`),
    ...used.flatMap(({ name, labels }) =>
      labels
        .filter((label) => catalogue[name]?.labels.includes(label) === false)
        .map((label) => `${name} has no label ${label}`),
    ),
    ...grouped.filter((label) => !known.has(label)).map((label) => `by ${label}, which nothing here has`),
    ...used
      .filter(({ name }) => catalogue[name]?.type === "counter" && /\b(delta|deriv)\(/.test(expression))
      .map(({ name }) => `${name} is a counter`),
  ];
}

test.each([
  ["rate(sluice_nothing_total[1m])", "sluice_nothing_total is not in the catalogue"],
  ['sluice_lag_seconds{lane="1"} > 2', "sluice_lag_seconds has no label lane"],
  ["sum by (lane) (sluice_lag_seconds)", "by lane, which nothing here has"],
  ["up == 0", "names no metric"],
])("the check finds what is wrong with %s", (expression, expected) => {
  expect(faultsOf(expression)).toEqual([expected]);
});

describe("the dashboard for Grafana", () => {
  interface Panel {
    readonly id: number;
    readonly type: string;
    readonly title: string;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
  }
  const dashboard = JSON.parse(read("deploy/grafana/sluice.json")) as {
    panels: readonly Panel[];
    templating: { list: readonly { query: string }[] };
  };
  const targets = dashboard.panels.flatMap(({ targets = [] }) => targets);

  test("asks only for metrics and labels of the catalogue", () => {
    const faults = [
      ...targets.flatMap(({ expr }) => faultsOf(expr)),
      ...dashboard.templating.list
        .filter(({ query }) => query.startsWith("label_values"))
        .flatMap(({ query }) => faultsOf(query)),
    ];
    expect(faults).toEqual([]);
    expect(targets.length).toBeGreaterThan(20);
  });

  test("names in legends only labels that its figures have", () => {
    const catalogue: Readonly<Record<string, MetricDefinition>> = metricCatalogue;
    for (const { expr, legendFormat } of targets) {
      const grouped = /\bby \(([^)]*)\)/.exec(expr)?.[1]?.split(/,\s*/);
      const labels = grouped ?? ["instance", ...metricsIn(expr).flatMap(({ name }) => catalogue[name]?.labels ?? [])];
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
        expect(labels, `${expr}: ${legendFormat}`).toContain(label);
    }
  });

  test("has no two panels of one id, and none that lies over another", () => {
    const { panels } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    for (const [index, { title, gridPos: a }] of panels.entries()) {
      expect(a.x + a.w, title).toBeLessThanOrEqual(24);
      for (const { title: other, gridPos: b } of panels.slice(index + 1)) {
        const isApart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
        expect(isApart, `${title} and ${other}`).toBe(true);
      }
    }
  });
});

describe("the alert rules for Prometheus", () => {
  // One key a line, each rule behind its `- alert:`.
  const rules = read("deploy/prometheus/alerts.yaml")
    .split(/^ +- alert: /m)
    .slice(1)
    .map((text) => {
      const field = (key: string): string => new RegExp(`^ +${key}: (.+)$`, "m").exec(text)?.[1] ?? "";
      const name = text.slice(0, text.indexOf("\n"));
      return {
        name,
        expr: field("expr"),
        labels: field("labels"),
        summary: field("summary"),
        description: field("description"),
      };
    });

  test("ask only for metrics and labels of the catalogue, and say what to do", () => {
    const catalogue: Readonly<Record<string, MetricDefinition>> = metricCatalogue;
    expect(rules.length).toBeGreaterThan(5);
    for (const { name: alert, expr, labels, summary, description } of rules) {
      expect(faultsOf(expr), alert).toEqual([]);
      expect(labels).toMatch(/^\{ severity: (warning|critical) \}$/);
      const known = metricsIn(expr).flatMap(({ name }) => catalogue[name]?.labels ?? []);
      for (const [, label] of `${summary} ${description}`.matchAll(/\$labels\.(\w+)/g)) expect(known, alert).toContain(label);
      expect(summary.length, alert).toBeGreaterThan(20);
      expect(description.length, alert).toBeGreaterThan(40);
    }
  });

  test("cover lag, retry windows, failures, evictions and full streams", () => {
    const used = new Set(rules.flatMap(({ expr }) => metricsIn(expr).map(({ name }) => name)));
    for (const name of [
      "sluice_lag_seconds",
      "sluice_retry_seconds_left",
      "sluice_pipeline_state",
      "sluice_destination_evicted_keys_total",
      "sluice_stream_limit_bytes",
    ]) {
      expect(used).toContain(name);
    }
  });
});
