import type { Secret } from "./endpoint-schema.ts";

/** User and password in a pipeline as it is written. */
export interface WrittenCredentials {
  user?: string | undefined;
  password?: Secret | undefined;
}

interface WrittenEndpoint extends WrittenCredentials {
  readonly nodes?: Readonly<Record<string, WrittenCredentials>> | undefined;
  readonly sentinel?: WrittenCredentials | undefined;
}

/** Every place of a pipeline that may hold a password, with the name of its field: source, Sentinels, destinations, nodes of each. */
export function credentialsIn(pipeline: {
  readonly source: WrittenEndpoint;
  readonly destinations: readonly WrittenEndpoint[];
}): { where: string; credentials: WrittenCredentials }[] {
  return [
    ...ofEndpoint("source", pipeline.source),
    ...pipeline.destinations.flatMap((endpoint, index) => ofEndpoint(`destinations[${index}]`, endpoint)),
  ];
}

function ofEndpoint(where: string, endpoint: WrittenEndpoint): { where: string; credentials: WrittenCredentials }[] {
  const { sentinel, nodes = {} } = endpoint;
  return [
    { where, credentials: endpoint },
    ...(sentinel === undefined ? [] : [{ where: `${where}.sentinel`, credentials: sentinel }]),
    ...Object.entries(nodes).map(([name, credentials]) => ({ where: `${where}.nodes[${JSON.stringify(name)}]`, credentials })),
  ];
}
