import { fail, pass, type Look } from "../precheck.ts";
import type { ServerState } from "../probe/server-state.ts";
import { bytesText } from "../quantity.ts";
import { eachDestinationServer } from "../server-check.ts";

/** `leastReplicas`: min-replicas-to-write, `stopsOnError`: stop-writes-on-bgsave-error; null where it is not told. */
export function judgeWritable(
  state: Pick<ServerState, "number" | "text">,
  leastReplicas: number | null,
  stopsOnError: boolean | null,
): Look {
  const good = state.number("min_slaves_good_slaves");
  if (good !== null && good < (leastReplicas ?? 1)) {
    return fail(`min-replicas-to-write is ${leastReplicas ?? "set"}, and ${good} replicas are good`, {
      fix: "Bring its replicas back, or `CONFIG SET min-replicas-to-write 0`.",
    });
  }
  if (state.text("rdb_last_bgsave_status") === "err" && stopsOnError !== false) {
    return fail("rdb_last_bgsave_status:err, and stop-writes-on-bgsave-error stops every write then", {
      fix: "See the server's log: give its disk room or the machine memory, and run BGSAVE there; or `CONFIG SET stop-writes-on-bgsave-error no`.",
    });
  }
  if (state.text("aof_last_write_status") === "err") {
    return fail("aof_last_write_status:err: the server can't write its AOF", {
      fix: "Give its disk room; it takes writes again by itself.",
    });
  }
  const [max, used] = [state.number("maxmemory") ?? 0, state.number("used_memory") ?? 0];
  const isFull = max > 0 && used >= max;
  if (isFull && state.text("maxmemory_policy") === "noeviction") {
    return fail(`${bytesText(used)} in use of maxmemory ${bytesText(max)}: every write is refused (OOM)`, {
      fix: "Raise `maxmemory`, or empty the destination.",
    });
  }
  return pass("it takes writes");
}

export const destinationWritable = eachDestinationServer(
  {
    id: "destination-writable",
    title: "Every primary of the destinations takes writes now",
    why: "The pipeline would wait from its first key on (DST-003).",
    expected: "enough good replicas, memory below maxmemory, and no disk error",
    fix: "Give the server what it lacks.",
    warns: null,
    fails: "min-replicas-to-write is not met, a failed BGSAVE or AOF write stops writes, or the memory is full",
    code: "DST-003",
  },
  async (server) => {
    const state = await server.state();
    const isGuarded = state.number("min_slaves_good_slaves") !== null;
    const hasFailed = state.text("rdb_last_bgsave_status") === "err";
    const least = isGuarded
      ? ((await server.setting("min-replicas-to-write")) ?? (await server.setting("min-slaves-to-write")))
      : null;
    const stops = hasFailed ? await server.setting("stop-writes-on-bgsave-error") : null;
    return judgeWritable(state, least === null ? null : Number(least), stops === null ? null : stops === "yes");
  },
);
