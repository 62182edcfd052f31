import { pass, warn, type Look } from "../precheck.ts";
import { eachSourceServer } from "../server-check.ts";

function judgeMinReplicas(least: number, replicas: number): Look {
  if (least === 0) return pass("min-replicas-to-write 0");
  const found = `min-replicas-to-write ${least}, and ${replicas} replicas besides Sluice`;
  return warn(found, {
    fix: `While the pipeline runs, \`CONFIG SET min-replicas-to-write ${least + 1}\` on every node keeps the promise that ${least} means now; set it back afterwards.`,
  });
}

export const sourceMinReplicas = eachSourceServer(
  {
    id: "source-min-replicas",
    title: "The source does not count Sluice as a replica that holds its data",
    why: "A server with min-replicas-to-write counts every link that says it is alive, Sluice's too: it would take writes with one real replica less than meant.",
    expected: "min-replicas-to-write 0, or one more than meant",
    fix: "Raise min-replicas-to-write by one while the pipeline runs.",
    warns: "min-replicas-to-write is set",
    fails: null,
    code: "SRC-003",
  },
  async (server) => {
    const state = await server.state();
    // INFO tells of good replicas only where some are asked for (replication.c): a server that does not is not asked further.
    if (state.number("min_slaves_good_slaves") === null) return judgeMinReplicas(0, state.replicas);
    const least = (await server.setting("min-replicas-to-write")) ?? (await server.setting("min-slaves-to-write"));
    return judgeMinReplicas(Number(least ?? 1), state.replicas);
  },
);
