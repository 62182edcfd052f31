import { fail, pass } from "../precheck.ts";
import { eachDestinationServer } from "../server-check.ts";

export const destinationLoaded = eachDestinationServer(
  {
    id: "destination-loaded",
    title: "No server of the destinations is still loading its data",
    why: "A server that loads takes no writes, and does not tell yet what it holds.",
    expected: "loading:0",
    fix: "Wait until it is ready and run the check again; its log says how far it is.",
    warns: null,
    fails: "a server loads its data",
    code: "DST-003",
    ifUnknown: "fail",
  },
  async (server) => ((await server.state()).isLoading ? fail(`${server.name} is loading its data`) : pass("ready")),
);
