import { pass, warn, type Look, type Precheck } from "../precheck.ts";
import { callsText } from "../quantity.ts";

const WHOLE = ["FLUSHALL", "FLUSHDB", "SWAPDB", "FUNCTION"];

function judgeWholeKeyspace(calls: ReadonlyMap<string, number>, hasManyLanes: boolean): Look {
  const used = [...calls].filter(([command]) => WHOLE.includes(command));
  if (used.length === 0) return pass("none was used");
  const found = `clients have used ${callsText(used)}`;
  return hasManyLanes ? warn(`${found}, and the pipeline has several lanes`) : pass(`${found}; one lane carries them`);
}

export const sourceWholeKeyspace: Precheck = {
  id: "source-whole-keyspace",
  title: "Nobody runs commands on the source that concern its whole keyspace",
  why: "With several lanes FLUSHALL, FLUSHDB, SWAPDB and FUNCTION halt the shard (PIP-004): no one lane can carry them in order with the others.",
  expected: "none of FLUSHALL, FLUSHDB, SWAPDB, FUNCTION while the pipeline runs",
  fix: "See that nobody runs them while the pipeline runs. `lanes: 1` carries them, where that is fast enough.",
  warns: "such commands were used since the server's statistics began, and the pipeline has several lanes",
  fails: null,
  code: "PIP-004",
  run: async ({ source, destinations, subject }) => {
    const isToClusters = (await Promise.all(destinations.map(async (one) => one.isCluster()))).every((is) => is);
    const hasManyLanes = subject.lanes > 1 && ((await source.isCluster()) || isToClusters);
    return [{ endpoint: source.name, ...judgeWholeKeyspace(await source.calls(), hasManyLanes) }];
  },
};
