import { ManualClock, silentLog } from "@sluice/runtime";
import { expect, test } from "vitest";
import type { DeskDeps } from "./desk-deps.ts";
import { settlePosted } from "./settle-posted.ts";

const body = { name: "p", source: { url: "redis://a:1" }, destinations: [{ url: "redis://b:1" }] };

/** Records that lose the bus at the write of `brokenKey`. */
function deskWith(stored: Map<string, { value: unknown; revision: number }>, brokenKey: string | null): DeskDeps {
  const records = {
    get: async (key: string) => Promise.resolve(stored.get(key) ?? null),
    compareAndSet: async (key: string, _schema: unknown, value: unknown, revision: number) => {
      if (key === brokenKey) throw new Error("the bus is away");
      if ((stored.get(key)?.revision ?? 0) !== revision) return Promise.resolve(null);
      stored.set(key, { value, revision: revision + 1 });
      return Promise.resolve(revision + 1);
    },
  } as never;
  return {
    records,
    streamOf: () => ({}) as never,
    busFacts: () => Promise.reject(new Error("not asked")),
    secretKey: null,
    clock: new ManualClock(),
    log: silentLog(),
  };
}

// Mutation: settle-posted.ts, the spec first: the pipeline is there, nothing settles it, and it can't be asked for again.
test("a request to settle that broke off between its two records is made again", async () => {
  const stored = new Map<string, { value: unknown; revision: number }>();
  await expect(settlePosted(body, deskWith(stored, "pipeline.p.spec"))).rejects.toThrow("the bus is away");
  await expect(settlePosted(body, deskWith(stored, "pipeline.p.cutover"))).rejects.toThrow("the bus is away");
  expect(await settlePosted(body, deskWith(stored, null))).toBe("p");
  expect(stored.get("pipeline.p.spec")?.value).toMatchObject({ desired: "cut-over" });
  expect(stored.get("pipeline.p.cutover")?.value).toMatchObject({ phase: "settling" });
  await expect(settlePosted(body, deskWith(stored, null))).rejects.toMatchObject({ code: "PIP-003" });
});

// Mutation: settle-posted.ts, the cut-over stays as it was written: who cleared the name in this moment has taken it, and nothing settles.
test("who clears what is left of the name between the two records takes nothing away", async () => {
  for (const isEarly of [true, false]) {
    const stored = new Map<string, { value: unknown; revision: number }>();
    const deps = deskWith(stored, null);
    const { records } = deps;
    let seen = 0;
    const clear = (): void => {
      if (stored.get("pipeline.p.cutover")?.revision === seen) stored.delete("pipeline.p.cutover");
    };
    const watched = new Proxy(records, {
      get: (target, method: keyof typeof records) => {
        if (method !== "compareAndSet") return target[method];
        return async (...args: Parameters<typeof records.compareAndSet>) => {
          if (args[0] === "pipeline.p.spec") {
            seen = stored.get("pipeline.p.cutover")?.revision ?? 0;
            if (isEarly) clear();
          }
          return target.compareAndSet(...args);
        };
      },
    });
    expect(await settlePosted(body, { ...deps, records: watched })).toBe("p");
    if (!isEarly) clear();
    expect(stored.get("pipeline.p.cutover")?.value).toMatchObject({ phase: "settling" });
  }
});
