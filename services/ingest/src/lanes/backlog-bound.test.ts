import { expect, test } from "vitest";
import { BACKLOG_HIGH_BYTES, BACKLOG_LOW_BYTES, BacklogBound } from "./backlog-bound.ts";

test("makes the reader wait above the upper bound until it is at the lower one", async () => {
  const backlog = new BacklogBound();
  await backlog.room();
  backlog.add(BACKLOG_HIGH_BYTES);
  expect(backlog.isFull).toBe(false);
  backlog.add(1);
  expect(backlog.isFull).toBe(true);
  let isLetGo = false;
  const waiting = backlog.room().then(() => (isLetGo = true));
  backlog.remove(BACKLOG_HIGH_BYTES - BACKLOG_LOW_BYTES);
  await Promise.resolve();
  expect([isLetGo, backlog.bytes]).toEqual([false, BACKLOG_LOW_BYTES + 1]);
  backlog.remove(1);
  await waiting;
  expect(isLetGo).toBe(true);
});

test("lets everybody go when the intake ends", async () => {
  const backlog = new BacklogBound();
  backlog.add(BACKLOG_HIGH_BYTES + 1);
  const waiting = Promise.all([backlog.room(), backlog.room()]);
  backlog.open();
  await waiting;
  expect(backlog.isFull).toBe(false);
});
