import { setTimeout as sleep } from "node:timers/promises";
import type { Random, TcpProxy } from "@sluice/testkit";
import type { Stage } from "../stage.ts";
import type { Fault } from "./fault.ts";

type Place = "source" | "destination";

/** The link to one primary, or to all. */
async function links(stage: Stage, place: Place, random: Random): Promise<{ proxies: TcpProxy[]; name: string }> {
  const side = stage[place];
  const primaries = await side.primaries();
  if (random.chance(0.25)) return { proxies: primaries.map((node) => side.proxyOf(node)), name: `${place}, every primary` };
  const node = random.pick(primaries);
  return { proxies: [side.proxyOf(node)], name: `${place} on port ${node.port}` };
}

function ofLinks(
  place: Place,
  weight: number,
  name: string,
  act: (proxies: TcpProxy[], random: Random) => Promise<string>,
): Fault {
  return {
    name: `${name}: ${place}`,
    ground: place,
    weight,
    run: async (stage, random, note) => {
      const { proxies, name: where } = await links(stage, place, random);
      note(`${where}: ${await act(proxies, random)}`);
      await stage[place].settled();
    },
  };
}

function faultsOf(place: Place): Fault[] {
  return [
    ofLinks(place, 3, "reset", async (proxies) => {
      for (const proxy of proxies) proxy.cut();
      return "reset";
    }),
    ofLinks(place, 2, "half-open", async (proxies, random) => {
      const ms = random.between(500, 10_000);
      for (const proxy of proxies) proxy.pause();
      await sleep(ms);
      for (const proxy of proxies) proxy.resume();
      return `half-open for ${ms} ms`;
    }),
    ofLinks(place, 2, "half-open, then reset", async (proxies, random) => {
      const ms = random.between(500, 6000);
      for (const proxy of proxies) proxy.pause();
      await sleep(ms);
      for (const proxy of proxies) {
        proxy.cut();
        proxy.resume();
      }
      return `half-open for ${ms} ms, then reset`;
    }),
    ofLinks(place, 4, "answers lost", async (proxies, random) => {
      const ms = random.between(20, 2000);
      for (const proxy of proxies) proxy.holdReplies();
      await sleep(ms);
      for (const proxy of proxies) {
        proxy.cut();
        proxy.releaseReplies();
      }
      return `no answers for ${ms} ms, then reset`;
    }),
    ofLinks(place, 1, "slow", async (proxies, random) => {
      const ms = random.between(2000, 8000);
      const delayMs = random.between(20, 1500);
      for (const proxy of proxies) proxy.delay(delayMs);
      await sleep(ms);
      for (const proxy of proxies) proxy.delay(0);
      return `${delayMs} ms away for ${ms} ms`;
    }),
    ofLinks(place, 1, "narrow", async (proxies, random) => {
      const ms = random.between(2000, 8000);
      const bytes = random.between(5_000, 200_000);
      for (const proxy of proxies) proxy.bandwidth(bytes);
      await sleep(ms);
      for (const proxy of proxies) proxy.bandwidth(Infinity);
      return `${bytes} bytes a second for ${ms} ms`;
    }),
    ofLinks(place, 2, "refused", async (proxies, random) => {
      const ms = random.between(500, 5000);
      for (const proxy of proxies) {
        proxy.refuse();
        proxy.cut();
      }
      await sleep(ms);
      for (const proxy of proxies) await proxy.accept();
      return `refused for ${ms} ms`;
    }),
  ];
}

export const linkFaults: readonly Fault[] = [...faultsOf("source"), ...faultsOf("destination")];
