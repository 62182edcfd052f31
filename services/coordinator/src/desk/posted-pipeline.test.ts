import { describe, expect, test } from "vitest";
import { readPostedPipeline } from "./posted-pipeline.ts";
import { Refusal } from "./refusal.ts";

const body = { name: "p", source: { url: "redis://a:1" }, destinations: [{ url: "redis://b:1" }], retryWindow: "2m" };

function refusalOf(posted: unknown): Refusal {
  try {
    readPostedPipeline(posted);
  } catch (cause) {
    if (cause instanceof Refusal) return cause;
    throw cause;
  }
  throw new Error("was not refused");
}

describe("readPostedPipeline", () => {
  test("keeps the pipeline as it was written beside what it means", () => {
    const { pipeline, written } = readPostedPipeline(body);
    expect(written).toEqual(body);
    expect(pipeline.retryWindow).toEqual({ source: 120_000, destination: 120_000, bus: 120_000 });
    expect(pipeline.destinations[0]?.group).toBe("main");
  });

  test("splits user:password at the first colon, only where no user is named", () => {
    const source = { url: "redis://a:1", password: "sluice:pa:ss" };
    expect(readPostedPipeline({ ...body, source }).written.source).toEqual({
      url: "redis://a:1",
      user: "sluice",
      password: "pa:ss",
    });
    const named = { ...source, user: "other" };
    expect(readPostedPipeline({ ...body, source: named }).written.source).toEqual(named);
    const alone = { ...source, password: "secret" };
    expect(readPostedPipeline({ ...body, source: alone }).written.source).toEqual(alone);
  });

  test("reads the credentials of Sentinels as those of a source", () => {
    const source = { url: "sentinel://a/m", sentinel: { password: "watcher:pass" } };
    const { written } = readPostedPipeline({ ...body, source });
    expect(written.source).toEqual({ url: "sentinel://a/m", sentinel: { user: "watcher", password: "pass" } });
    const elsewhere = refusalOf({ ...body, source: { url: "sentinel://a/m", sentinel: { password: { env: "X" } } } });
    expect(elsewhere.message).toContain("source.sentinel.password: expected plain text");
  });

  test("reads the credentials of single nodes as those of their endpoint", () => {
    const nodes = { "a:2": { password: "other:pass" } };
    const { written } = readPostedPipeline({ ...body, destinations: [{ url: "redis://b:1", nodes }] });
    expect(written.destinations[0]?.nodes).toEqual({ "a:2": { user: "other", password: "pass" } });
    const elsewhere = refusalOf({ ...body, source: { url: "redis://a", nodes: { "a:2": { password: { env: "X" } } } } });
    expect(elsewhere.message).toContain('source.nodes["a:2"].password: expected plain text');
  });

  test("refuses secrets that stand elsewhere", () => {
    const refusal = refusalOf({ ...body, destinations: [{ url: "redis://b:1", password: { env: "X" } }] });
    expect(refusal).toMatchObject({ status: 422, code: "PIP-001" });
    expect(refusal.message).toContain("destinations[0].password: expected plain text");
  });

  test("names every fault with its place, and quotes no value", () => {
    const refusal = refusalOf({ ...body, retryWindow: "secret1", source: { url: "http://secret2", password: 5 }, more: 1 });
    expect(refusal.status).toBe(422);
    expect(refusal.message).toContain("retryWindow: expected a duration");
    expect(refusal.message).toContain("source.url: expected the scheme redis or rediss");
    expect(refusal.message).toContain('more: unknown field "more"');
    expect(refusal.message).not.toContain("secret");
  });

  test("refuses what is no object", () => {
    for (const posted of [null, "x", [body], undefined]) expect(refusalOf(posted).status).toBe(400);
  });
});
