import { readFileSync } from "node:fs";
import { rdbPath } from "@sluice/testkit";
import { vi } from "vitest";
import type { PsyncReply } from "./psync-reply.ts";
import { ReplicaLink } from "./replica-link.ts";

const rdb = readFileSync(rdbPath("7.0.15"));
export const RDB_BYTES = rdb.length;

const FULL: PsyncReply = { kind: "full", replid: "r", offset: 100 };

/**
 * A source whose RDB comes so far; the link then stays open until it is closed. It says of itself that its history is `replid`, and answers `reply` to PSYNC.
 * Returns what it was asked for.
 */
export function serveCopy(bytes: number, replid = "r", reply: PsyncReply = FULL): string[] {
  const asked: string[] = [];
  vi.spyOn(ReplicaLink, "open").mockImplementation(async () => {
    let close = (): void => undefined;
    const closed = new Promise<void>((resolve) => (close = resolve));
    const link = {
      facts: async () => Promise.resolve({ version: 70_015, role: "master", replicaOf: "", replid, keys: 1 }),
      askRdbOnly: async () => Promise.resolve(true),
      psync: async (id: string | null) => {
        asked.push(id ?? "copy");
        return Promise.resolve(reply);
      },
      chunks: async function* chunks() {
        yield Buffer.concat([Buffer.from(`$${rdb.length}\r\n`), rdb.subarray(0, bytes)]);
        await closed;
      },
      close,
    };
    return Promise.resolve(link as unknown as ReplicaLink);
  });
  return asked;
}
