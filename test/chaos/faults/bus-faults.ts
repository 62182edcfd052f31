import { setTimeout as sleep } from "node:timers/promises";
import type { Fault } from "./fault.ts";

export const busFaults: readonly Fault[] = [
  {
    name: "kill the bus",
    ground: "bus",
    weight: 3,
    run: async ({ nats }, random, note) => {
      const ms = random.between(0, 5000);
      note(`kill -9 of nats-server, away for ${ms} ms`);
      await nats.kill();
      await sleep(ms);
      await nats.restart();
    },
  },
  {
    name: "restart the bus again and again",
    ground: "bus",
    weight: 1,
    run: async ({ nats }, random, note) => {
      const times = random.between(2, 6);
      note(`nats-server is restarted ${times} times`);
      for (let time = 0; time < times; time++) {
        await nats.restart(random.pick(["SIGTERM", "SIGKILL"]));
        await sleep(random.between(100, 1500));
      }
    },
  },
  {
    name: "stop the bus and let it go on",
    ground: "bus",
    weight: 2,
    run: async ({ nats }, random, note) => {
      const ms = random.between(500, 8000);
      note(`SIGSTOP nats-server for ${ms} ms`);
      nats.pause();
      await sleep(ms);
      nats.resume();
    },
  },
  {
    name: "slow bus",
    ground: "bus",
    weight: 1,
    run: async ({ services }, random, note) => {
      const ms = random.between(2000, 8000);
      const delayMs = random.between(20, 800);
      note(`the bus is ${delayMs} ms away from everybody for ${ms} ms`);
      const proxies = services.names.map((name) => services.busOf(name));
      for (const proxy of proxies) proxy.delay(delayMs);
      await sleep(ms);
      for (const proxy of proxies) proxy.delay(0);
    },
  },
];
