import { describe, expect, test } from "vitest";
import { variableOf } from "./pipeline-environment.ts";
import { PipelineFileError, readPipelineFile } from "./pipeline-file.ts";
import { scalarFields } from "./pipeline-json-schema.ts";

const text = `name: shop
source:
  url: redis://a
  password: { file: secret }
destinations:
  - url: redis://b
  - { url: redis://c, group: other }
`;

const read = (environment: Record<string, string>) => readPipelineFile(text, "f.yaml", environment);

function faultsOf(environment: Record<string, string>): string[] {
  try {
    read(environment);
  } catch (cause) {
    if (cause instanceof PipelineFileError) return cause.message.split("\n");
    throw cause;
  }
  return [];
}

describe("variables stand for fields of the file", () => {
  test("those that are there, and those that are not", () => {
    const { pipeline, written } = read({
      SLUICE_PIPELINE_SOURCE_PASSWORD: "a:b",
      SLUICE_PIPELINE_DESTINATIONS_1_URL: "rediss://d:7",
      SLUICE_PIPELINE_DESTINATIONS_1_TLS_SERVER_NAME: "d.example",
      SLUICE_PIPELINE_DESTINATIONS_1_TLS_INSECURE: "true",
      SLUICE_PIPELINE_LANES: "4",
      SLUICE_PIPELINE_RETRY_WINDOW_BUS: "5m",
      SLUICE_PIPELINE_LIMITS_STREAM_BYTES: "20MiB",
      SLUICE_OTHER: "x",
      PIPELINE: "y",
    });
    expect(pipeline).toMatchObject({
      source: { password: "a:b" },
      destinations: [
        { url: "redis://b", group: "main" },
        { url: "rediss://d:7", group: "other", tls: { serverName: "d.example", insecure: true } },
      ],
      lanes: 4,
      retryWindow: { source: 43_200_000, destination: 43_200_000, bus: 300_000 },
      limits: { streamBytes: 20_971_520 },
    });
    expect(written).toMatchObject({ source: { password: "a:b" }, lanes: 4, retryWindow: { bus: "5m" } });
  });

  test("a secret may stand elsewhere than the file says", () => {
    expect(read({ SLUICE_PIPELINE_SOURCE_PASSWORD_ENV: "X" }).pipeline.source.password).toEqual({ env: "X" });
    expect(read({ SLUICE_PIPELINE_SOURCE_PASSWORD_FILE: "s" }).pipeline.source.password).toEqual({ file: "s" });
  });

  test("every scalar has a name of its own", () => {
    const names = scalarFields().map(({ path }) => variableOf(path));
    expect(names).toContain("SLUICE_PIPELINE_LIMITS_COPY_BYTES_PER_SECOND");
    expect(names).toContain("SLUICE_PIPELINE_DESTINATIONS_0_EXISTING");
    expect(names).not.toContain("SLUICE_PIPELINE_SOURCE_DATABASES");
    expect(new Set(names).size).toBe(names.length);
  });
});

describe("a variable that can't be used is named", () => {
  test.each([
    [
      "SLUICE_PIPELINE_SOURCE_PASWORD",
      "x",
      "no single value of a pipeline file goes by this name; did you mean SLUICE_PIPELINE_SOURCE_PASSWORD?",
    ],
    [
      "SLUICE_PIPELINE_DESTINATIONS_1_URI",
      "x",
      "no single value of a pipeline file goes by this name; did you mean SLUICE_PIPELINE_DESTINATIONS_1_URL?",
    ],
    ["SLUICE_PIPELINE_SOURCE_DATABASES", "1", "no single value of a pipeline file goes by this name"],
    ["SLUICE_PIPELINE_", "x", "no single value of a pipeline file goes by this name"],
    ["SLUICE_PIPELINE_DESTINATIONS_2_URL", "x", "the file has 2 destinations, which count from 0"],
    ["SLUICE_PIPELINE_LANES", "many", 'lanes: read "many": expected a whole number'],
    ["SLUICE_PIPELINE_LANES", "", 'lanes: read "": expected a whole number'],
    ["SLUICE_PIPELINE_LANES", "0", "lanes: read 0: expected at least 1"],
    ["SLUICE_PIPELINE_DESTINATIONS_1_GROUP", "A", 'destinations[1].group: read "A": expected 1 to 32 of a-z, 0-9 and -'],
    ["SLUICE_PIPELINE_SOURCE_URL", "redis://:hunter2@a", 'source.url: read "redis://…@a": expected no credentials in the URL'],
  ])("%s=%s", (name, value, message) => {
    const faults = faultsOf({ [name]: value });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(`${name}: ${message}`);
    expect(faults[0]).not.toContain("hunter2");
  });

  test("two for one secret", () => {
    const both = { SLUICE_PIPELINE_SOURCE_PASSWORD: "x", SLUICE_PIPELINE_SOURCE_PASSWORD_FILE: "y" };
    expect(faultsOf(both)).toEqual([
      "SLUICE_PIPELINE_SOURCE_PASSWORD_FILE: expected only one of it and SLUICE_PIPELINE_SOURCE_PASSWORD",
    ]);
  });
});
