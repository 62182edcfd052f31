import { afterEach, expect, test } from "vitest";
import { Meters } from "./meters.ts";
import { listenForMetrics, readMetricsAddress, type MetricsListener } from "./metrics-listener.ts";
import { processMeter } from "./process-meter.ts";

const open: MetricsListener[] = [];
afterEach(async () => {
  for (const listener of open.splice(0)) await listener.close();
});

async function listen(meters: Meters): Promise<string> {
  const listener = await listenForMetrics({ host: "127.0.0.1", port: 0 }, meters);
  open.push(listener);
  return listener.url;
}

test("reads where to listen, and listens nowhere unless told", () => {
  expect(readMetricsAddress({})).toBeNull();
  expect(readMetricsAddress({ SLUICE_METRICS_LISTEN: "" })).toBeNull();
  expect(readMetricsAddress({ SLUICE_METRICS_LISTEN: "0.0.0.0:7381" })).toEqual({ host: "0.0.0.0", port: 7381 });
  expect(readMetricsAddress({ SLUICE_METRICS_LISTEN: "[::1]:0" })).toEqual({ host: "::1", port: 0 });
  for (const text of ["7381", "localhost", "localhost:99999", "a b:1"]) {
    expect(() => readMetricsAddress({ SLUICE_METRICS_LISTEN: text })).toThrow(`${JSON.stringify(text)}; expected host:port`);
  }
});

test("tells the figures of the process and of every part of it, also where one of them fails", async () => {
  const meters = new Meters();
  meters.add(processMeter("writer"));
  meters.add({
    collect: () => {
      throw new Error("broken");
    },
  });
  meters.add({ collect: (page) => page.set("sluice_process_work", { service: "writer" }, 3) });
  const url = await listen(meters);
  const answer = await fetch(`${url}/metrics`);
  expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const text = await answer.text();
  expect(text).toContain('sluice_process_work{service="writer"} 3\n');
  expect(text).toMatch(/sluice_process_memory_bytes\{service="writer",kind="resident"\} [1-9]\d+\n/);
  expect(text).toMatch(/sluice_process_cpu_seconds_total\{service="writer"\} \d+\.\d+\n/);
});

test("is alive at once, ready when all that it needs is there, and takes no orders", async () => {
  const meters = new Meters();
  meters.add(processMeter("writer"));
  const url = await listen(meters);
  const ready = async () => {
    const answer = await fetch(`${url}/readyz`);
    return [answer.status, ((await answer.json()) as { reason: string | null }).reason];
  };
  expect((await fetch(`${url}/livez`)).status).toBe(200);
  expect(await ready()).toEqual([503, "the service is starting"]);
  let reason: string | null = "there is no connection to NATS";
  meters.add({ notReady: () => reason });
  expect(await ready()).toEqual([503, reason]);
  reason = null;
  expect(await ready()).toEqual([200, null]);
  expect((await fetch(`${url}/livez`, { method: "POST", body: "x" })).status).toBe(405);
  expect((await fetch(`${url}/else`)).status).toBe(404);
});

test("an address that is taken is refused with its name", async () => {
  const port = Number(new URL(await listen(new Meters())).port);
  await expect(listenForMetrics({ host: "127.0.0.1", port }, new Meters())).rejects.toThrow(
    `SLUICE_METRICS_LISTEN: can't listen on 127.0.0.1:${port}`,
  );
});
