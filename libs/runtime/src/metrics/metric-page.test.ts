import { expect, test } from "vitest";
import { metricCatalogue, type MetricDefinition } from "./metric-catalogue.ts";
import { MetricPage } from "./metric-page.ts";

test("a page is written as Prometheus reads it, in the order of the catalogue", () => {
  const page = new MetricPage();
  page.set("sluice_stored_offset_bytes", { pipeline: "p", shard: "s0" }, 12);
  page.set("sluice_coordinator_active", {}, 1);
  page.set("sluice_stored_offset_bytes", { pipeline: "p", shard: "s1" }, 9_007_199_254_740_991);
  page.set("sluice_stored_offset_bytes", { pipeline: "p", shard: "s0" }, 0.5);
  expect(page.text()).toBe(
    [
      `# HELP sluice_coordinator_active ${metricCatalogue.sluice_coordinator_active.help}`,
      "# TYPE sluice_coordinator_active gauge",
      "sluice_coordinator_active 1",
      `# HELP sluice_stored_offset_bytes ${metricCatalogue.sluice_stored_offset_bytes.help}`,
      "# TYPE sluice_stored_offset_bytes gauge",
      'sluice_stored_offset_bytes{pipeline="p",shard="s0"} 0.5',
      'sluice_stored_offset_bytes{pipeline="p",shard="s1"} 9007199254740991',
      "",
    ].join("\n"),
  );
  expect(new MetricPage().text()).toBe("");
});

test("what is not known, or no number, is left out", () => {
  const page = new MetricPage();
  for (const value of [null, NaN, Infinity, -Infinity]) page.set("sluice_coordinator_active", {}, value);
  expect(page.text()).toBe("");
});

test("quotes, backslashes and ends of lines in a label do not break the line", () => {
  const page = new MetricPage();
  page.set("sluice_retry_seconds_left", { pipeline: "p", endpoint: 'a\\b"c\nd' }, 1);
  expect(page.text().split("\n")[2]).toBe('sluice_retry_seconds_left{pipeline="p",endpoint="a\\\\b\\"c\\nd"} 1');
});

test("names, labels and help are as Prometheus wants them, and counters end in _total", () => {
  for (const [name, { type, labels, help }] of Object.entries<MetricDefinition>(metricCatalogue)) {
    expect(name).toMatch(/^sluice(_[a-z]+)+$/);
    expect(name.endsWith("_total"), name).toBe(type === "counter");
    for (const label of labels) expect(label).toMatch(/^[a-z]+$/);
    // `instance` and `job` are the scraper's own.
    expect(labels.filter((label) => label === "instance" || label === "job")).toEqual([]);
    expect(help).toMatch(/^[^\n]+\.$/);
  }
});
