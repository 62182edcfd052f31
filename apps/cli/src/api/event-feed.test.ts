import { expect, test } from "vitest";
import type { ApiEvent } from "@sluice/wire";
import { ApiClient } from "./api-client.ts";
import { startSampleApi, type SampleRequest } from "./api-server.sample.ts";
import { eventFeed } from "./event-feed.ts";

const event = (id: number): ApiEvent => ({ id, at: id * 1_000, kind: "state", text: `event ${id}`, pipeline: "orders" });
const sent = (...ids: number[]): string =>
  `event: state\ndata: {}\n\n${ids.map((id) => `id: ${id}\nevent: event\ndata: ${JSON.stringify(event(id))}\n\n`).join("")}`;

/** Follows these connections one after the other, until there have been `count` events. */
async function follow(answers: readonly (readonly [number, unknown])[], count: number) {
  const requests: SampleRequest[] = [];
  const notices: string[] = [];
  const got: number[] = [];
  const ending = new AbortController();
  await using server = await startSampleApi((request) => {
    requests.push(request);
    return answers[Math.min(requests.length, answers.length) - 1] as readonly [number, unknown];
  });
  const options = { pipeline: "orders", signal: ending.signal, away: (why: string) => notices.push(why), reconnectMs: 0 };
  for await (const { id } of eventFeed(new ApiClient(server.address), options)) {
    got.push(id);
    if (got.length === count) ending.abort();
  }
  return { got, notices, asked: requests.map(({ path, lastEventId }) => `${path} ${lastEventId ?? "from the beginning"}`) };
}

test("a stream that ends is opened again behind the last event; what comes twice is told once", async () => {
  const { got, asked } = await follow(
    [
      [200, sent(1, 2)],
      [200, sent(2, 3)],
    ],
    3,
  );
  expect(got).toEqual([1, 2, 3]);
  expect(asked).toEqual(["/api/v1/pipelines/orders/events from the beginning", "/api/v1/pipelines/orders/events 2"]);
});

test("an API that is away is told once and waited for", async () => {
  const away = { error: { code: "SLU-003", message: "it stands by", remedy: "" } };
  const { got, notices } = await follow(
    [
      [200, sent(1)],
      [503, away],
      [503, away],
      [200, sent(2)],
    ],
    2,
  );
  expect(got).toEqual([1, 2]);
  expect(notices).toEqual(["SLU-003: it stands by"]);
});

test("a pipeline that is deleted ends it with the refusal", async () => {
  const gone = { error: { code: "PIP-002", message: "no pipeline orders", remedy: "" } };
  await expect(
    follow(
      [
        [200, sent(1)],
        [404, gone],
      ],
      2,
    ),
  ).rejects.toMatchObject({ code: "PIP-002" });
});

test("what this release can't read is passed over", async () => {
  const younger = `id: 2\nevent: event\ndata: {"kind":"weather"}\n\nid: 3\nevent: event\ndata: nonsense\n\n`;
  expect((await follow([[200, sent(1) + younger + sent(4)]], 2)).got).toEqual([1, 4]);
});
