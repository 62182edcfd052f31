import { NatsServer, rdbPath, RecordedPrimary, waitUntil } from "@sluice/testkit";
import { expect, test } from "vitest";
import type { CopyRules } from "../copy-gate.ts";
import { sets, shardOf, startIntake, storedUpTo } from "./running-intake.sample.ts";

const rules: CopyRules = { onBacklogLost: "halt" };

// Mutations: intake.ts, `checkLost` in `#look` taken out: the source is asked for another copy. The one in `#run` taken out: what 2.8 sends
// unasked is taken. `#look` without `point !== null`: the first copy halts, and so does the operator's.
test.each([
  { version: "7.0.15", asked: ["?"], why: "the source's backlog holds" },
  // It says nothing of its history, so that it has to be asked; it has forked by then.
  { version: "2.8.24", asked: ["?", "replid"], why: "the source answered with a full copy" },
] as const)(
  "onBacklogLost: halt, $version: after the first copy none begins before the operator asks for it",
  async ({ version, asked, why }) => {
    await using nats = await NatsServer.start();
    await using primary = await RecordedPrimary.start({ version, rdb: rdbPath(version), stream: sets(0, 10) });
    const first = await startIntake(nats.url, primary.port, "i1", { rules });
    await storedUpTo(first.bus, primary.finalOffset);
    await first.stop();
    primary.append(sets(10, 10));
    primary.forgetBefore(primary.finalOffset);
    const second = await startIntake(nats.url, primary.port, "i2", { rules });
    const halt = await waitUntil("it halts", async () => (await shardOf(second.bus))?.halt);
    expect(halt.code).toBe("SRC-016");
    expect(halt.message).toContain(`shard s0 can't be continued: ${why}`);
    expect(halt.remedy).toContain("--copy");
    await second.stop();
    expect(primary.psyncs.map((id) => (id === primary.replid ? "replid" : id))).toEqual(asked);

    // What `--copy` does: the floor is raised to the last epoch.
    const third = await startIntake(nats.url, primary.port, "i3", { rules, floor: 1 });
    await waitUntil("it is copied anew", async () => (await shardOf(third.bus))?.epoch === 2);
    expect(await storedUpTo(third.bus, primary.finalOffset)).toMatchObject({ epoch: 2, halt: null });
    expect(primary.fullSyncs).toBe(asked.length + 1);
    await third.stop();
  },
);
