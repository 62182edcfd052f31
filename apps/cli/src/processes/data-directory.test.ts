import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DataDirectory } from "./data-directory.ts";
import { readRunRecord, writeRunRecord } from "./run-record.ts";

let folder: string;
let ended: string[];
const children: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-data-"));
  ended = [];
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await rm(folder, { recursive: true });
});

const take = async () => DataDirectory.take(folder, (name) => ended.push(name));

/** A process that waits, with these words on its command line. */
async function idle(...words: string[]): Promise<ChildProcess & { readonly pid: number }> {
  const child = spawn("/bin/sh", ["-c", "read -r line", ...words], { stdio: ["pipe", "ignore", "ignore"] });
  children.push(child);
  await once(child, "spawn");
  return child as ChildProcess & { readonly pid: number };
}

test("a directory that a living run owns is refused, with its process and API", async () => {
  const owner = await idle("sluice", "run", "orders.yaml");
  await writeFile(join(folder, "run.pid"), `${owner.pid}\n`);
  await writeRunRecord(folder, { pid: owner.pid, api: "127.0.0.1:7380", nats: "nats://127.0.0.1:1", processes: {} });
  await expect(take()).rejects.toThrow(`a \`sluice run\` (process ${owner.pid}, API 127.0.0.1:7380) uses ${folder} already`);
});

test("what is left of a run that was killed is ended, and nothing else", async () => {
  const stranger = await idle("stranger");
  const [writer, bus] = [await idle("writer-1", folder), await idle("nats", folder)];
  const owner = await idle("not", "a", "run");
  await writeFile(join(folder, "run.pid"), `${owner.pid}\n`);
  await writeFile(join(folder, "nats.pid"), `${bus.pid}`);
  const processes = { "writer-1": writer.pid, "writer-2": stranger.pid };
  await writeRunRecord(folder, { pid: owner.pid, api: "127.0.0.1:7380", nats: "nats://127.0.0.1:1", processes });
  const exits = Promise.all([writer, bus].map(async (child) => once(child, "exit")));
  await take();
  expect(ended.toSorted()).toEqual(["nats-server", "writer-1"]);
  expect(await exits).toEqual([
    [null, "SIGTERM"],
    [null, "SIGTERM"],
  ]);
  expect([stranger.signalCode, owner.signalCode]).toEqual([null, null]);
  expect(await readRunRecord(folder)).toBeNull();
});

test("the key is made once, for the owner's eyes only", async () => {
  const directory = await take();
  const key = await directory.secretKey();
  expect(key).toMatch(/^[0-9a-f]{64}$/);
  expect(await directory.secretKey()).toBe(key);
  expect((await stat(join(folder, "secret.key"))).mode & 0o777).toBe(0o600);
  await writeFile(join(folder, "secret.key"), "short");
  await expect(directory.secretKey()).rejects.toThrow("does not hold 64 hexadecimal digits");
});

test("a released directory can be taken again; key and port stay", async () => {
  const directory = await take();
  expect(await directory.natsPort()).toBeNull();
  await directory.keepNatsPort(14_222);
  await directory.secretKey();
  await directory.release();
  expect((await readdir(folder)).toSorted()).toEqual(["log", "nats", "nats.port", "secret.key"]);
  expect(await (await take()).natsPort()).toBe(14_222);
});

test("a record that is no record is none", async () => {
  for (const text of ["", "[]", "{}", '{"pid":1,"api":"a","nats":"b","processes":{"x":"1"}}']) {
    await writeFile(join(folder, "run.json"), text);
    expect(await readRunRecord(folder)).toBeNull();
  }
});
