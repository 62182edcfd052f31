import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readPipeline } from "./read-pipeline.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-read-"));
});
afterAll(async () => rm(folder, { recursive: true }));

async function read(text: string, environment: NodeJS.ProcessEnv = {}) {
  const path = join(folder, "p.yaml");
  await writeFile(path, text);
  return readPipeline(path, environment);
}

test("what is sent is what is written, with secrets and paths of files resolved", async () => {
  await writeFile(join(folder, "secret"), "from file\n");
  const text = `
name: orders
source: { url: "sentinel://a:1/m", password: { env: SOURCE }, sentinel: { password: { env: SENTINEL } } }
destinations: [{ url: "rediss://b:2", password: { file: secret }, nodes: { "b:3": { password: { env: SOURCE } } }, tls: { ca: ca.pem } }]
retryWindow: 5m
`;
  expect(await read(text, { SOURCE: "from environment", SENTINEL: "from there, too" })).toEqual({
    name: "orders",
    written: {
      name: "orders",
      source: { url: "sentinel://a:1/m", password: "from environment", sentinel: { password: "from there, too" } },
      destinations: [
        {
          url: "rediss://b:2",
          password: "from file",
          nodes: { "b:3": { password: "from environment" } },
          tls: { ca: join(folder, "ca.pem") },
        },
      ],
      retryWindow: "5m",
    },
  });
});

test("a bad file is refused with every fault and its line", async () => {
  const text = "name: Orders\nsource: { url: redis://a:1 }\ndestinations:\n  - { url: redis://b:2, colour: red }\n";
  const path = join(folder, "p.yaml");
  const failure = await read(text).catch((cause: unknown) => cause as Error);
  expect((failure as Error).message.split("\n")).toEqual([
    `${path}:1:7: name: read "Orders": expected 1 to 32 of a-z, 0-9 and -`,
    `${path}:4:25: destinations[0].colour: unknown field "colour"`,
  ]);
});

test("a secret that is not there is named", async () => {
  const text = (password: string) =>
    `name: o\nsource: { url: "redis://a:1", password: ${password} }\ndestinations: [{ url: "redis://b:2" }]\n`;
  await expect(read(text("{ env: NOT_SET }"))).rejects.toThrow("the environment variable NOT_SET");
  await expect(read(text("{ file: nowhere }"))).rejects.toThrow(
    `${join(folder, "nowhere")}: the file of a password can't be read: ENOENT`,
  );
});

test("variables stand for fields of the file, and a wrong one is named", async () => {
  const text = 'name: o\nsource: { url: "redis://a:1" }\ndestinations: [{ url: "redis://b:2" }]\n';
  const environment = { SLUICE_PIPELINE_SOURCE_PASSWORD_ENV: "X", X: "hunter2", SLUICE_PIPELINE_DESTINATIONS_0_GROUP: "g" };
  expect((await read(text, environment)).written).toMatchObject({
    source: { password: "hunter2" },
    destinations: [{ group: "g" }],
  });
  await expect(read(text, { SLUICE_PIPELINE_NAMES: "x" })).rejects.toThrow(
    "SLUICE_PIPELINE_NAMES: no single value of a pipeline file goes by this name; did you mean SLUICE_PIPELINE_NAME?",
  );
});

test("a file without end is not read to its end", async () => {
  await expect(readPipeline("/dev/zero", {})).rejects.toThrow("/dev/zero:1:1: the file holds more than 1 MiB");
});
