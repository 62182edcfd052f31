import { pass, warn, type Precheck } from "../precheck.ts";
import { replyText } from "../probe/server-probe.ts";

const HELLO = "__sentinel__:hello";

export const sourceSentinel: Precheck = {
  id: "source-sentinel",
  title: "A source that Sentinels watch is found through them",
  why: "Sentinels make another server the primary when this one fails. Sluice follows them only where they are in the `url`; else it waits for the server that is named.",
  expected: "sentinel://host:26379/name in `url` where Sentinels watch the source",
  fix: "Name the Sentinels: `url: sentinel://host:26379,host2:26379/<name of the primary>`; `SENTINEL MASTERS` there tells the name.",
  warns: "Sentinels listen to the source, and the pipeline names it by its own address",
  fails: null,
  code: "SRC-009",
  run: async ({ source }) => {
    const seed = await source.seed();
    if (source.endpoint.sentinels !== undefined) return [{ endpoint: source.name, ...pass("found through Sentinels") }];
    if ((await seed.state()).isCluster) return [{ endpoint: source.name, ...pass("a cluster has no Sentinels") }];
    // Every Sentinel of a primary listens to this channel there (sentinel.c, SENTINEL_HELLO_CHANNEL).
    const reply = await seed.ask("PUBSUB", "NUMSUB", HELLO);
    const listeners = Number(Array.isArray(reply) ? replyText(reply[1] ?? 0) : 0);
    const look = listeners === 0 ? pass("no Sentinel listens there") : warn(`${listeners} Sentinels watch ${seed.name}`);
    return [{ endpoint: source.name, ...look }];
  },
};
