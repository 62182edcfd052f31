import { pass, warn, type Look } from "../precheck.ts";
import type { ServerState } from "../probe/server-state.ts";
import { bytesText } from "../quantity.ts";
import { eachSourceServer } from "../server-check.ts";
import { isCopied } from "../subject.ts";

/** Above this part of the machine, what is written during a copy may not fit beside the data. */
const MOST_OF_MEMORY = 0.66;
const SLOW_FORK_USEC = 500_000;

export function judgeForkMemory(state: Pick<ServerState, "number" | "text">): Look {
  const used = state.number("used_memory_rss") ?? state.number("used_memory") ?? 0;
  const total = state.number("total_system_memory") ?? 0;
  const forkUsec = state.number("latest_fork_usec") ?? 0;
  const found = `${bytesText(used)} in use${total > 0 ? ` of ${bytesText(total)} of the machine` : ""}`;
  if (state.text("rdb_last_bgsave_status") === "err") {
    return warn(`${found}; rdb_last_bgsave_status:err: the last BGSAVE failed`, {
      expected: "rdb_last_bgsave_status:ok",
      fix: "See the server's log: most often `vm.overcommit_memory` is not 1, the machine has too little memory, or the disk is full.",
    });
  }
  if (total > 0 && used > total * MOST_OF_MEMORY) return warn(found);
  if (forkUsec > SLOW_FORK_USEC) {
    return warn(`${found}; the last fork took ${Math.round(forkUsec / 1000)} ms, and clients wait meanwhile`, {
      expected: `forks of less than ${SLOW_FORK_USEC / 1000} ms`,
      fix: "Copy from a replica (`read: replica`), or when clients can bear the pause (`startWindow`).",
    });
  }
  return pass(found);
}

export const sourceForkMemory = eachSourceServer(
  {
    id: "source-fork-memory",
    title: "The source has memory for a copy",
    why: "A full copy makes the source fork. What is written meanwhile is held twice; a machine without memory left fails the fork, or kills the server.",
    expected: `less than ${MOST_OF_MEMORY * 100} % of the machine's memory in use`,
    fix: "Set `vm.overcommit_memory = 1` there and leave a third of the memory free, copy from a replica (`read: replica`), or copy when little is written (`startWindow`).",
    warns: "two thirds of the machine's memory are in use, the last BGSAVE failed, or the last fork took half a second",
    fails: null,
    code: "SRC-010",
    applies: ({ subject }) => isCopied(subject),
  },
  async (server) => judgeForkMemory(await server.state()),
);
