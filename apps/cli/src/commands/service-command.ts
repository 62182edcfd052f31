import { OperatorError } from "../operator-error.ts";
import { parseListen } from "../processes/listen-address.ts";
import { serviceMain, type ServiceName } from "../processes/service-plan.ts";
import { becomeProgram } from "./become-program.ts";

export interface ServiceOptions {
  readonly nats?: string;
  readonly instance?: string;
  readonly listen?: string;
}

/** `sluice service`: this process becomes one service, in the foreground, with its log on standard output. */
export async function runOneService(service: ServiceName, options: ServiceOptions): Promise<void> {
  const { nats, instance, listen } = options;
  if (nats !== undefined) process.env["SLUICE_NATS_URL"] = nats;
  if (instance !== undefined) process.env["SLUICE_INSTANCE"] = instance;
  if (listen !== undefined) {
    if (service !== "coordinator")
      throw new OperatorError(`a ${service} does not listen`, "--listen is for the coordinator's API.", 2);
    parseListen(listen, "--listen");
    process.env["SLUICE_API_LISTEN"] = listen;
  }
  await becomeProgram(serviceMain(service), []);
}
