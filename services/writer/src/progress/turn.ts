let last: Promise<void> = Promise.resolve();

/**
 * Resolves when it is the caller's turn: one lane of this process at a time begins its next step, with what the sockets have
 * brought taken in between. A step of a backlog that drains is tens of milliseconds of work; without turns those of all lanes
 * would follow each other at once, and answers that leases depend on would wait behind them for seconds.
 */
export async function turn(): Promise<void> {
  last = last.then(
    async () =>
      new Promise((resolve) => {
        setImmediate(resolve);
      }),
  );
  return last;
}
