import { fail, pass } from "../precheck.ts";
import { eachSourceServer } from "../server-check.ts";

export const sourceLoaded = eachSourceServer(
  {
    id: "source-loaded",
    title: "No server of the source is still loading, or without its own primary",
    why: "A server that loads its data refuses to be replicated from, and so does a replica that has lost its primary.",
    expected: "loading:0, and of a replica master_link_status:up",
    fix: "Wait until it is ready and run the check again; its log says how far it is.",
    warns: null,
    fails: "a server loads its data; with `read: replica`, a replica has no link to its primary",
    code: "SRC-003",
    ifUnknown: "fail",
  },
  async (server) => {
    const state = await server.state();
    if (state.isLoading) return fail(`${server.name} is loading its data`);
    const link = state.text("master_link_status");
    if (!state.isPrimary && link === "down") return fail(`${server.name} says master_link_status:${link}`);
    return pass("ready");
  },
);
