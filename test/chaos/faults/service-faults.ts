import { setTimeout as sleep } from "node:timers/promises";
import type { Fault } from "./fault.ts";

export const serviceFaults: readonly Fault[] = [
  {
    name: "kill a service",
    ground: "services",
    weight: 6,
    run: async ({ services }, random, note) => {
      const name = random.pick(services.names);
      note(`kill -9 ${name}`);
      await services.kill(name);
    },
  },
  {
    name: "kill a service again and again",
    ground: "services",
    weight: 2,
    run: async ({ services }, random, note) => {
      const name = random.pick(services.names);
      const times = random.between(2, 4);
      note(`kill -9 ${name}, ${times} times`);
      for (let time = 0; time < times; time++) {
        await services.kill(name);
        await sleep(random.between(200, 3000));
      }
    },
  },
  {
    name: "kill all services",
    ground: "services",
    weight: 1,
    run: async ({ services }, _, note) => {
      note("kill -9 of every service");
      await Promise.all(services.names.map((name) => services.kill(name)));
    },
  },
  {
    name: "stop a service and let it go on",
    ground: "services",
    weight: 6,
    run: async ({ services }, random, note) => {
      const name = random.pick(services.names);
      const ms = random.between(1000, 15_000);
      note(`SIGSTOP ${name} for ${ms} ms`);
      await services.suspend(name, ms);
    },
  },
  {
    name: "cut a service off from the bus",
    ground: "services",
    weight: 4,
    run: async ({ services }, random, note) => {
      const name = random.pick(services.names);
      const bus = services.busOf(name);
      const ms = random.between(500, 12_000);
      const how = random.pick(["reset", "half-open", "answers lost", "refused"] as const);
      note(`${name} and the bus: ${how}, ${ms} ms`);
      if (how === "half-open") bus.pause();
      else if (how === "answers lost") bus.holdReplies();
      else bus.cut();
      if (how === "refused") bus.refuse();
      if (how !== "reset") await sleep(ms);
      if (how === "answers lost") bus.cut();
      await bus.clear();
    },
  },
];
