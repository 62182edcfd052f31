import { EventEmitter, once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { request } from "node:https";
import { ManualClock, silentLog, systemClock, type Clock } from "@sluice/runtime";
import { Authority, waitUntil } from "@sluice/testkit";
import { apiEvent, stateEvent } from "@sluice/wire";
import { afterEach, expect, test } from "vitest";
import { ApiDesk, FILE } from "./api-desk.sample.ts";
import type { ApiDeps } from "./api-server.ts";
import { EventStreams } from "./event-streams.ts";
import { SseReader } from "./sse-reader.sample.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

const TOKEN = "a-token-of-our-own";
const eventsUpTo = (last: number) =>
  Array.from({ length: last }, (_, index) => ({ id: index + 1, at: 1_000 + index, kind: "state", text: `event ${index + 1}` }));

async function served(desk: ApiDesk, settings?: ApiDeps["settings"], clock: Clock = systemClock): Promise<string> {
  const api = desk.api(settings, clock);
  ends.push(async () => api.close());
  return `${await api.listen({ host: "127.0.0.1", port: 0 })}/api/v1`;
}

async function follow(url: string, headers?: Record<string, string>): Promise<SseReader> {
  const reader = await SseReader.open(url, headers);
  ends.push(() => reader.close());
  return reader;
}

function deskWith(last: number): ApiDesk {
  const desk = new ApiDesk();
  desk.put("pipeline.p.spec", { pipeline: FILE, desired: "running", createdAt: 1 });
  desk.put("pipeline.p.events", { events: eventsUpTo(last), topology: null });
  return desk;
}

test("what is kept comes at once, then each event and state as it comes, with the id to go on from", async () => {
  const desk = deskWith(2);
  const url = await served(desk);
  const reader = await follow(`${url}/pipelines/p/events`);
  expect(await reader.next()).toMatchObject({ id: "1", event: "event" });
  const second = await reader.next();
  expect(apiEvent.parse(JSON.parse(second!.data))).toEqual({ pipeline: "p", id: 2, at: 1_001, kind: "state", text: "event 2" });
  const created = await reader.next();
  expect([created?.id, created?.event]).toEqual([null, "state"]);
  expect(stateEvent.parse(JSON.parse(created!.data))).toMatchObject({ pipeline: "p", state: "created" });
  desk.put("pipeline.p.state", { state: "copying", since: 7, reason: "a full copy is under way" });
  expect(await reader.next()).toMatchObject({ event: "state", data: expect.stringContaining('"copying"') });
  desk.put("pipeline.p.events", { events: eventsUpTo(3), topology: null });
  expect(await reader.next()).toMatchObject({ id: "3" });
});

test("a client that comes back with the last id gets what it missed", async () => {
  const url = await served(deskWith(5));
  const reader = await follow(`${url}/pipelines/p/events`, { "last-event-id": "3" });
  expect([(await reader.next())?.id, (await reader.next())?.id, (await reader.next())?.event]).toEqual(["4", "5", "state"]);
});

test("all pipelines can be followed at once, and those that come later", async () => {
  const desk = deskWith(1);
  const url = await served(desk);
  const reader = await follow(`${url}/events`);
  expect(await reader.next()).toMatchObject({ id: "1000.p.1", event: "event" });
  expect(await reader.next()).toMatchObject({ event: "state" });
  desk.put("pipeline.q.spec", { pipeline: { ...FILE, name: "q" }, desired: "running", createdAt: 1 });
  expect(await reader.next()).toMatchObject({ event: "state", data: expect.stringContaining('"pipeline":"q"') });
});

test("while nothing happens the connection is kept warm", async () => {
  const clock = new ManualClock();
  const desk = deskWith(1);
  const reader = await follow(`${await served(desk, undefined, clock)}/pipelines/p/events`, { "last-event-id": "1" });
  expect((await reader.next())?.event).toBe("state");
  const beat = reader.next();
  let isThere = false;
  void beat.then(() => (isThere = true));
  for (let steps = 0; !isThere && steps < 200; steps++) await clock.advance(250);
  expect(await beat).toMatchObject({ event: "comment" });
});

test("the stream ends with its pipeline, and when another coordinator takes over", async () => {
  const desk = deskWith(0);
  const url = await served(desk);
  const [one, all] = [await follow(`${url}/pipelines/p/events`), await follow(`${url}/events`)];
  await one.next();
  await all.next();
  desk.book.take({ key: "pipeline.p.spec", value: null, revision: 1_000 });
  expect(await one.next()).toBeNull();
  desk.isActive = false;
  expect(await all.next()).toBeNull();
  await expect(SseReader.open(`${url}/events`)).rejects.toThrow("503");
});

test("there is an end to how many clients are served, and a place is free again when one leaves", async () => {
  const url = await served(deskWith(0));
  const readers = await Promise.all(Array.from({ length: 64 }, async () => follow(`${url}/events`)));
  await expect(SseReader.open(`${url}/events`)).rejects.toThrow(/^429 .*API-004/);
  expect((await fetch(`${url}/events`)).status).toBe(200);
  readers[0]!.close();
  await waitUntil("its place is free", async () => follow(`${url}/events`));
});

test("whoever names no token follows nothing, over a real connection too", async () => {
  const url = await served(deskWith(1), { token: TOKEN, tls: null });
  await expect(SseReader.open(`${url}/events`)).rejects.toThrow(/^401 .*API-002/);
  const reader = await follow(`${url}/events`, { authorization: `Bearer ${TOKEN}` });
  expect(await reader.next()).toMatchObject({ id: "1000.p.1" });
  const answer = await fetch(`${url}/pipelines`);
  expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([401, 'Bearer realm="sluice"']);
});

test("a client that does not read is cut off, and costs no more than what waits for it", async () => {
  const desk = deskWith(0);
  const clock = new ManualClock();
  const streams = new EventStreams({ book: () => desk.book, clock, log: silentLog() });
  const response = Object.assign(new EventEmitter(), {
    writableLength: 0,
    isDestroyed: false,
    writeHead: () => undefined,
    write: (text: string) => void (response.writableLength += text.length),
    destroy: () => void (response.isDestroyed = true),
  });
  streams.follow(response as unknown as ServerResponse, "p", undefined);
  for (let last = 200; last <= 20_000 && streams.count > 0; last += 200) {
    const events = eventsUpTo(last).slice(-200);
    desk.put("pipeline.p.events", { events: events.map((event) => ({ ...event, text: "x".repeat(1_000) })), topology: null });
    await clock.advance(250);
  }
  expect([streams.count, response.isDestroyed]).toEqual([0, true]);
  expect(response.writableLength).toBeLessThan(1.5 * 1024 * 1024);
});

// Mutation: event-streams.ts, `follow` for whoever asks.
test("a client that left before its stream began takes no place, nor does one whose leaving nobody told of", async () => {
  const desk = deskWith(0);
  const clock = new ManualClock();
  const streams = new EventStreams({ book: () => desk.book, clock, log: silentLog() });
  const response = Object.assign(new EventEmitter(), {
    writableLength: 0,
    destroyed: true,
    writeHead: () => undefined,
    write: () => true,
    end: () => undefined,
    destroy: () => undefined,
  });
  streams.follow(response as unknown as ServerResponse, "p", undefined);
  expect(streams.count).toBe(0);
  response.destroyed = false;
  streams.follow(response as unknown as ServerResponse, "p", undefined);
  expect(streams.count).toBe(1);
  response.destroyed = true;
  await clock.advance(250);
  expect(streams.count).toBe(0);
});

test("with a certificate it is HTTPS, and plain HTTP is answered by nobody", async () => {
  const authority = new Authority();
  const url = await served(deskWith(1), { token: TOKEN, tls: authority.issue() });
  expect(url).toMatch(/^https:/);
  const headers = { authorization: `Bearer ${TOKEN}` };
  const asked = request(`${url}/pipelines`, { ca: authority.cert, servername: "localhost", headers }).end();
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  expect(answer.statusCode).toBe(200);
  answer.destroy();
  await expect(fetch(url.replace("https:", "http:"))).rejects.toThrow("fetch failed");
});

test("a server that stops sends its clients away and does not wait for them", async () => {
  const desk = deskWith(0);
  const api = desk.api();
  const url = await api.listen({ host: "127.0.0.1", port: 0 });
  const reader = await follow(`${url}/api/v1/events`);
  await reader.next();
  await api.close();
  expect(await reader.next()).toBeNull();
});
