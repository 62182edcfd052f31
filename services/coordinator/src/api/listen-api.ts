import { Halt } from "@sluice/runtime";
import type { FastifyInstance } from "fastify";
import type { ListenAddress } from "../config.ts";

/** Opens the API; the URL that it listens on. Throws `Halt` SLU-002 when the address can't be had. */
export async function listenApi(api: FastifyInstance, { host, port }: ListenAddress): Promise<string> {
  try {
    return await api.listen({ host, port });
  } catch (cause) {
    throw new Halt("SLU-002", `SLUICE_API_LISTEN: can't listen on ${host}:${port}`, { cause });
  }
}
